"""Commands that go on from what was saved: who stops one, or fills the disk, is told how, and of no other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typer.core import TyperCommand

from visard.errors import DiskFullError
from visard.storage import known_error


class Resuming(TyperCommand):
    """A command that, given again, goes on where it was stopped; with --no-resume it would begin anew."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            if words := self.goes_on(ctx.params):
                raise KeyboardInterrupt(words) from error
            raise
        except Exception as error:
            cause, words = known_error(error), self.goes_on(ctx.params)
            if not (isinstance(cause, DiskFullError) and words):
                raise
            raise DiskFullError(cause.message, f"Free some space. {words}") from error

    def goes_on(self, given: Mapping[str, Any]) -> str:
        """What who stops it is told; "" where it does not go on."""
        same = "The same command" if given.get("resume", True) else "The same without --no-resume"
        return f"{same} goes on from what was saved."


class ResumingInBenchmarks(Resuming):
    """`visard attack`: in a benchmark's folder its work is kept there, with folders of people nothing is."""

    def goes_on(self, given: Mapping[str, Any]) -> str:
        from visard.benchmark.protocol import PROTOCOL_FILE

        if not (given["target"] / PROTOCOL_FILE).is_file():
            return ""
        kept = f"What was done with the attacker's people is kept in {given['target']}."
        return f"{kept} {super().goes_on(given)}"

"""Commands that go on from what was saved: who stops one, or fills the disk, is told how, and of no other."""

from __future__ import annotations

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
            raise KeyboardInterrupt(_goes_on(ctx)) from error
        except Exception as error:
            cause = known_error(error)
            if not isinstance(cause, DiskFullError):
                raise
            raise DiskFullError(cause.message, f"Free some space. {_goes_on(ctx)}") from error


def _goes_on(ctx: Any) -> str:
    same = "The same command" if ctx.params.get("resume", True) else "The same without --no-resume"
    return f"{same} goes on from what was saved."

"""Commands that go on from what was saved: who stops one is told so, and of no other."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class Resuming(TyperCommand):
    """A command that, given again, goes on where it was stopped; with --no-resume it would begin anew."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            same = "The same command" if ctx.params.get("resume", True) else "The same without --no-resume"
            raise KeyboardInterrupt(f"{same} goes on from what was saved.") from error

"""How long work tells what it has done: one callable, passed in."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called after every unit of work: `done` of `total` in `stage`, with figures worth showing (a loss)."""

    def __call__(self, stage: str, done: int, total: int, **figures: float) -> None: ...


def silent(stage: str, done: int, total: int, **figures: float) -> None:
    """The progress that says nothing."""

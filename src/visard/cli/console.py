"""What the commands print: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from visard.errors import VisardError
from visard.progress import Progress

QUIET_SECONDS = 15.0
"""Where there is no terminal, a stage prints a line when it begins, when it ends, and this often between."""


def explain(error: VisardError) -> None:
    """Say what went wrong and what to do about it."""
    console = _stderr()
    console.print(f"Error: {error.message}", style="bold red", markup=False, highlight=False)
    if error.advice:
        console.print(error.advice, markup=False, highlight=False)


def note(text: str) -> None:
    """Something worth knowing that is not the result."""
    _stderr().print(text, markup=False, highlight=False)


def result(values: Mapping[str, Any], as_json: bool, text: str) -> None:
    """The outcome of a command: one JSON object for programs, or `text` for people."""
    if as_json:
        print(json.dumps(values, indent=2, default=str))
    else:
        Console(soft_wrap=True).print(text, markup=False, highlight=False)


@contextmanager
def progress() -> Iterator[Progress]:
    """A Progress that draws a bar with the time left on a terminal and prints sparse lines elsewhere."""
    console = _stderr()
    if not console.is_terminal:
        yield Lines()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("[dim]{task.fields[figures]}"),
    )
    with Bar(*columns, console=console) as bar:
        yield Bars(bar)


class Bars:
    """One bar a stage."""

    def __init__(self, bar: Bar) -> None:
        self.bar = bar
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int, **figures: float) -> None:
        if stage not in self.tasks:
            self.tasks[stage] = self.bar.add_task(stage, total=total, completed=done, figures="")
        self.bar.update(self.tasks[stage], completed=done, total=total, figures=_words(figures))


class Lines:
    """One line when a stage begins and ends, and now and then between where it says something new.

    about: of whose work.
    """

    def __init__(self, about: str = "") -> None:
        self.about = f"{about}: " if about else ""
        self.stage, self.said = "", ""
        self.last = 0.0

    def __call__(self, stage: str, done: int, total: int, **figures: float) -> None:
        now = time.monotonic()
        if stage == self.stage and done < total and now - self.last < QUIET_SECONDS:
            return
        text = f"{self.about}{stage} {done}/{total} {_words(figures)}".rstrip()
        if text != self.said:
            self.stage, self.said, self.last = stage, text, now
            print(text, file=sys.stderr, flush=True)


def _stderr() -> Console:
    return Console(stderr=True, soft_wrap=True)


def _words(figures: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.3g}" for name, value in figures.items())

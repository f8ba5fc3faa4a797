"""What the commands of `visard bench` share: options, executors, and what they say of what is left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visard.cli.console import note
from visard.errors import InputError

if TYPE_CHECKING:
    from visard.benchmark.job import Executor
    from visard.benchmark.protocol import Unit

TABLES = "tables"
"""Folder of the tables inside a benchmark's."""
SHOWN = 3
"""Units that are named where there are more."""

Out = Annotated[Path, typer.Argument(help="Folder of the benchmark: photos, units and tables.")]
PeopleCount = Annotated[int, typer.Option("--people", min=1, help="How many people; the paper has 50.")]
Split = Annotated[
    str | None,
    typer.Option(
        help="Whose people: test for figures, attacker_dev for choices.", show_default="the table's"
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="People: a folder each, as VGGFace2 has it; or, with --identities, CelebA-HQ's pictures.",
        show_default="the embedded world",
    ),
]
Identities = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help='CelebA\'s identity file, lines "000001.jpg 2880".', show_default=False
    ),
]
Workers = Annotated[int, typer.Option(min=1, help="Units at a time, each on one thread.")]
ClusterAddress = Annotated[
    str | None,
    typer.Option(
        "--cluster", metavar="ADDRESS", help="Do units on a Ray cluster that sees OUT.", show_default=False
    ),
]
Gpus = Annotated[float, typer.Option(min=0, help="Share of a GPU a unit takes on the cluster.")]
MostUnits = Annotated[
    int | None, typer.Option("--units", min=0, help="Do at most so many units.", show_default=False)
]
MostMinutes = Annotated[
    float | None, typer.Option("--minutes", min=0, help="Stop after so many minutes.", show_default=False)
]
ReportOnly = Annotated[
    bool, typer.Option("--report-only", help="Only write the table, from the finished units.")
]
ARMS = "none, values of rho, and other arms by commas; visard bench arms lists them all."


def note_left(left: int, units: int, hours: float | None) -> None:
    """Say on stderr how much of what was asked for is not done."""
    if left:
        note(f"{left} of {units} units are left{hours_left(hours)}: the same command goes on.")


def note_busy(units: Sequence[Unit]) -> None:
    """Say on stderr what another command is at."""
    if units:
        names = ", ".join(f"{each.arm} of person {each.person}" for each in units[:SHOWN])
        more = f" and {len(units) - SHOWN} more" if len(units) > SHOWN else ""
        note(f"Another command is at {names}{more}: left to it, with what takes pictures of them.")


def note_left_out(people: Sequence[str]) -> None:
    """Say on stderr of whom a folder has too few photos that can be used."""
    for reason in people:
        note(f"Left out: {reason}")


def executor(address: str | None, gpus: float) -> Executor[Any] | None:
    """What does units on a Ray cluster, None for this machine. Raises InputError for --gpus alone."""
    if address is None:
        if gpus:
            raise InputError("--gpus is for a cluster.", "Name it with --cluster, or leave --gpus out.")
        return None
    from visard.benchmark.cluster import Cluster

    return Cluster(address, gpus=gpus)


def hours_left(hours: float | None) -> str:
    """The end of a sentence, "" where it is not known."""
    return "" if hours is None else f", about {hours:.1f} core-hours"

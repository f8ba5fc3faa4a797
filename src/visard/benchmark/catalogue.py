"""Every table by name, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from visard.benchmark import job
from visard.benchmark.ablations import OWN
from visard.benchmark.paper import PAPER
from visard.benchmark.protocol import Protocol, Unit, with_sources
from visard.benchmark.table import Table

CATALOGUE: dict[str, Table] = {table.name: table for table in (*PAPER, *OWN)}


def arms_of(table: Table) -> list[str]:
    """The arms that a table's units take: its own, and those whose pictures its own change."""
    return with_sources(table.arms)


def cost(units: Sequence[Unit], asked: job.Job, protocol: Protocol, out: Path) -> float | None:
    """Core-hours that units will take, from those of the job that are done; None before the first."""
    whole = asked.units
    pace = job.Pace(whole, units, protocol, out, 1, lambda *_, **__: None)
    seconds = pace.work(units)
    return None if seconds is None else seconds / 3600

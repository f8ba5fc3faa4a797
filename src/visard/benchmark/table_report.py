"""A table written: from the finished units of one benchmark, and of others beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from visard.benchmark import gallery, job, layout, pareto, request
from visard.benchmark.measures import Measures
from visard.benchmark.protocol import Protocol
from visard.benchmark.result import Result
from visard.benchmark.summary import of_prompts
from visard.benchmark.table import Table
from visard.errors import InputError
from visard.images import save_image
from visard.kits import Kit
from visard.storage import atomic_write


def write(
    table: Table, asked: job.Job, place: Path, folder: Path, kit: Kit, beside: Sequence[tuple[Path, str]]
) -> tuple[list[Path], str]:
    """Write the table, its plot and its pictures to `folder`; returns the files and the Markdown.

    place: where the units lie that are asked for. beside: other benchmarks' folders, and the split of theirs
    that is compared. kit: whose networks see all pictures, these and those beside. Raises InputError where it
    is not the kit of `place`, StorageError.
    """
    protocol = Protocol.of(place)
    protocol.require(kit)
    wanted = set(asked.units)
    mine = [each for each in job.finished(place) if each.unit in wanted]
    measured = [_measures(f"ours, {protocol.kit}", place, mine, table, kit)] if mine else []
    for other, split in beside:
        there = request.home(other, split)
        theirs = [
            each
            for each in job.finished(there)
            if each.unit.arm in table.arms and each.unit.seed in asked.seeds
        ]
        if not theirs:
            raise InputError(
                f"{there} holds no finished units of {table.name}.",
                f"Start them with visard bench {table.name}, or leave out --beside.",
            )
        label = f"ours, {Protocol.of(there).kit}, {other.name}"
        measured.append(_measures(label, there, theirs, table, kit))
    files = layout.write(table, measured, folder)
    if mine:
        atomic_write(folder / f"{table.name}.svg", pareto.draw(table, measured[0]).encode())
        sheet = gallery.draw(table, mine, place)
        if sheet is not None:
            save_image(sheet, folder / f"{table.name}.png")
    return files, layout.markdown(table, measured)


def _measures(label: str, place: Path, results: Sequence[Result], table: Table, kit: Kit) -> Measures:
    """Of the table's own prompts, whatever else the models drew."""
    return Measures(label, place, of_prompts(results, table.prompts), kit)

"""The figures of a benchmark as people and programs read them: terminal, Markdown, CSV, JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from visard.benchmark.acceptance import SIMILARITY, UNMEASURED, Check
from visard.benchmark.per_person import Interval
from visard.benchmark.protocol import Protocol, arm_title
from visard.benchmark.summary import FSR, Row, Summary
from visard.benchmark.table import ADA, ISM
from visard.storage import atomic_write, finite

NOTHING = "–"
UNPAIRED = " (no one of them in every row yet: do not compare rows)"
COLUMNS = (
    "arm",
    "faces",
    "ISM",
    "change",
    "ISM, all",
    "ADA",
    "change",
    "ADA, all",
    "rank 1",
    "TMR @ 1e-3",
    "strangers",
    "real",
)
"""Of the main table. Ranks, match rates and strangers are ArcFace's; "all" counts a lost face as 0."""
NARROW = ("arm", "faces", "ISM", "change", "ADA", "rank 1", "TMR @ 1e-3")
"""Columns that fit a terminal; the files have all."""
JUDGE_COLUMNS = (
    ("similarity", SIMILARITY),
    ("all pictures", "similarity_all"),
    ("strangers", "strangers"),
    ("rank 1", "rank_1"),
    ("rank 1, faces", "rank_1_detected"),
    ("linked", "linked"),
    ("TMR @ 1e-2", "tmr@0.01"),
    ("TMR @ 1e-3", "tmr@0.001"),
    ("real", "real"),
)


def write_tables(out: Path, summary: Summary, checks: Sequence[Check], protocol: Protocol) -> None:
    """Write table.md, table.csv and table.json into a benchmark's folder. Raises StorageError."""
    atomic_write(out / "table.md", markdown(summary, checks, protocol).encode())
    atomic_write(out / "table.csv", as_csv(summary).encode())
    atomic_write(out / "table.json", as_json(summary, checks, protocol).encode())


def terminal(summary: Summary, checks: Sequence[Check]) -> Group:
    """The main table, prompt by prompt, and the acceptance list, in colour."""
    parts: list[Table | Text] = []
    for prompt in summary.prompts:
        table = Table(
            title=prompt, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
        )
        shown = [COLUMNS.index(name) for name in NARROW]
        for index in shown:
            table.add_column(COLUMNS[index], justify="right" if index else "left")
        for line in _main_lines(summary, prompt):
            table.add_row(*(line[index].replace(" [", "\n[").replace(" (", "\n(") for index in shown))
        parts.append(table)
    styles = {True: "green", False: "bold red", None: "dim"}
    for check in checks:
        parts.append(Text.assemble((f"{check.verdict:>12}", styles[check.passed]), f"  {_words(check)}"))
    return Group(*parts)


def markdown(summary: Summary, checks: Sequence[Check], protocol: Protocol) -> str:
    """The main table by prompt, the acceptance list, and every recogniser over all prompts.

    What each of them says of each prompt is in the CSV.
    """
    lines = [_caption(summary, protocol), ""]
    overall = summary.prompts[-1]
    for prompt in summary.prompts:
        lines += [f"**{prompt}**", "", *_table(COLUMNS, _main_lines(summary, prompt)), ""]
    lines += ["### What must hold", ""]
    lines += map(item, checks)
    for role, title in (("judges", "Judges"), ("surrogates", "Surrogates: these took part in the training")):
        if not summary.recognizers(role):
            continue
        lines += ["", f"### {title}", "", f"Of {overall}.", ""]
        header = ["recogniser", "arm", *(name for name, _ in JUDGE_COLUMNS)]
        rows = [
            [name, arm_title(arm), *(_cell(summary.find(arm, overall, name, f)) for _, f in JUDGE_COLUMNS)]
            for name in summary.recognizers(role)
            for arm in summary.arms
        ]
        lines += _table(header, rows)
    return "\n".join(lines) + "\n"


def as_csv(summary: Summary) -> str:
    """One line a figure."""
    text = io.StringIO()
    fields = ["arm", "prompt", "role", "recognizer", "figure"]
    intervals = ["mean", "low", "high", "change", "change_low", "change_high"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*fields, *intervals, "people", "pictures", "faces"])
    for row in summary.rows:
        numbers = [*_bounds(row.mean), *_bounds(row.change)]
        writer.writerow(
            [
                *(getattr(row, field) for field in fields),
                *("" if each is None else f"{each:.6g}" for each in numbers),
                row.people,
                row.pictures,
                row.faces,
            ]
        )
    return text.getvalue()


def as_json(summary: Summary, checks: Sequence[Check], protocol: Protocol) -> str:
    """Rows, acceptance list and protocol; figures that do not exist are null."""
    tree = {
        "protocol": asdict(protocol),
        "rows": [asdict(row) for row in summary.rows],
        "acceptance": [asdict(check) for check in checks],
    }
    return json.dumps(finite(tree), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def item(check: Check) -> str:
    """An item of a list, in Markdown."""
    return f"- {check.verdict}: {_words(check)}"


def _main_lines(summary: Summary, prompt: str) -> list[list[str]]:
    """Cells of the main table for one prompt."""
    lines = []
    for arm in summary.arms:

        def row(families: tuple[str, ...], figure: str, arm: str = arm) -> Row | None:
            return summary.find(arm, prompt, summary.member(*families), figure)

        faces = row((), FSR)
        cells = [f"{faces.mean.value:.3f} ({faces.faces}/{faces.pictures})" if faces else NOTHING]
        for judge in (ISM, ADA):
            similarity = row(judge.of, judge.key)
            cells += [_cell(similarity), _change(similarity), _cell(row(judge.of, "similarity_all"), False)]
        for figure in ("rank_1", "tmr@0.001", "strangers", "real"):
            cells.append(_cell(row(ISM.of, figure), False))
        lines.append([arm_title(arm), *cells])
    return lines


def _caption(summary: Summary, protocol: Protocol) -> str:
    people = max((row.people for row in summary.rows), default=0)
    sampling = protocol.sampling
    return (
        f"{people} {'person' if people == 1 else 'people'} no model has seen"
        f"{'' if summary.paired else UNPAIRED}, {sampling.pictures} pictures a prompt, a gallery of "
        f"{summary.gallery}, models of the kit {protocol.kit}. Means over people with 95 % intervals from "
        "resampling people, and for shares above a threshold also the strangers whose photos set it; changes "
        "are against no defence for the same people and seeds. Similarities are of pictures with a face; "
        "“all” counts a lost face as 0."
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(header)} |",
        f"|{'---|' * len(header)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _words(check: Check) -> str:
    return check.demand if check.measured == UNMEASURED else f"{check.demand}: {check.measured}"


def _cell(row: Row | None, interval: bool = True) -> str:
    if row is None or math.isnan(row.mean.value):
        return NOTHING
    mean = row.mean
    bounds = f" [{mean.low:.3f}, {mean.high:.3f}]" if interval and not math.isnan(mean.low) else ""
    return f"{mean.value:.3f}{bounds}"


def _change(row: Row | None) -> str:
    if row is None or row.change is None:
        return NOTHING
    change = row.change
    bounds = f" [{change.low:+.0%}, {change.high:+.0%}]" if not math.isnan(change.low) else ""
    return f"{change.value:+.0%}{bounds}"


def _bounds(interval: Interval | None) -> list[float | None]:
    if interval is None:
        return [None, None, None]
    return [finite(each) for each in (interval.value, interval.low, interval.high)]

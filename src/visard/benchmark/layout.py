"""A table as Markdown, CSV and LaTeX, with the paper's figures beside ours."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from visard.benchmark import order, paired
from visard.benchmark.measures import Cell, Measures
from visard.benchmark.methods import find_method
from visard.benchmark.shape import remarks
from visard.benchmark.table import FACES, Column, Row, Table
from visard.benchmark.tables import NOTHING, UNPAIRED, item
from visard.storage import atomic_write

DOUBT = "†"
ARROWS = {"higher": "↑", "lower": "↓", "": ""}
LATEX_ARROWS = {"higher": r"$\uparrow$", "lower": r"$\downarrow$", "": ""}
NOTES = {
    "SER": "SER is 2 sigmoid(-mean distance under dropout), comparable under one recogniser alone.",
    "QMagFace": "QMagFace is the kit's MagFace with its authors' constants.",
    "BRQ": "BRQ takes a trained BRISQUE model ([brisque] in a kit); unnaturalness, the distance of the same "
    "features from those of the clean photos, needs none.",
    "LPIPS": "LPIPS takes a perceptual network ([perceptual] in a kit).",
}
"""What a column is of, or why ours is empty."""
PERTURBED = (
    "Who perturbs photos has the radius and step of the defence, but the rounds of the kit's [protection] "
    "settings; its victim trains on the perturbed half of the photos alone and on all of them together, as "
    "in the papers, all others on all photos in Algorithm 1's turns: compare those rows with the same half "
    "as it is, and with noise without aim."
)
LATEX_SPECIAL = {each: f"\\{each}" for each in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "†": r"$^\dagger$",
    "−": "$-$",
}


@dataclass(frozen=True)
class Line:
    """One line of a table: a row as one source has it. printed: the paper's; doubts: by column.

    people: how many it is of, 0 where that is not known.
    """

    row: Row
    source: str
    cells: Sequence[Cell | None]
    people: int = 0
    printed: bool = False
    doubts: Sequence[str] = ()


def lines(table: Table, measured: Sequence[Measures]) -> Iterator[Line]:
    """Row by row: what each benchmark has measured, then what the paper has printed."""
    columns = [*table.columns, *table.own]
    for row in table.rows:
        for each in measured:
            yield Line(row, each.label, [each.cell(row.arm, column) for column in columns], len(each.people))
        for data, values in row.paper.items():
            cells = [None if value is None else Cell(value) for value in values]
            doubts = [table.doubts.get((row.title, data, index), "") for index in range(len(values))]
            empty = len(table.own)
            yield Line(
                row, f"paper, {data}", cells + [None] * empty, printed=True, doubts=doubts + [""] * empty
            )


def write(table: Table, measured: Sequence[Measures], folder: Path) -> list[Path]:
    """Write NAME.md, NAME.csv and NAME.tex; returns them. Raises StorageError."""
    texts = {".md": markdown, ".csv": as_csv, ".tex": latex}
    files = [folder / f"{table.name}{suffix}" for suffix in texts]
    for file, text in zip(files, texts.values(), strict=True):
        atomic_write(file, text(table, measured).encode())
    return files


def markdown(table: Table, measured: Sequence[Measures]) -> str:
    """One table a prompt, below what it is and what stands in for what."""
    every = list(lines(table, measured))
    columns = [*table.columns, *table.own]
    text = [f"## {table.name}: {table.caption}", "", _whence(table, measured), ""]
    for prompt in dict.fromkeys(column.prompt for column in columns):
        chosen = [index for index, column in enumerate(columns) if column.prompt == prompt]
        heads = ["", "source", *(_head(columns[index], ARROWS) for index in chosen)]
        text += [f"**{prompt or 'The optimised photos'}**", ""]
        text += [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
        for line in every:
            cells = [_cell(line, index, columns[index]) for index in chosen]
            if any(cell != NOTHING for cell in cells):
                title = line.row.title if not line.printed else f"*{line.row.title}*"
                text.append(f"| {' | '.join([title, line.source, *cells])} |")
        text.append("")
    text += [f"{DOUBT} cannot be right: {why}." for why in dict.fromkeys(table.doubts.values())]
    for each in measured:
        if checks := remarks(table, each):
            text += ["", f"**What must hold** ({each.label})", "", *map(item, checks)]
        if rows := paired.markdown(table, each):
            text += ["", *rows]
        if rows := order.markdown(order.orders(table, each)):
            text += ["", *rows]
    return "\n".join(text).rstrip() + "\n"


def as_csv(table: Table, measured: Sequence[Measures]) -> str:
    """One line a cell that there is."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    fields = [
        "table",
        "row",
        "arm",
        "source",
        "people",
        "prompt",
        "under",
        "column",
        "value",
        "low",
        "high",
        "note",
    ]
    writer.writerow(fields)
    columns = [*table.columns, *table.own]
    for line in lines(table, measured):
        for index, (column, cell) in enumerate(zip(columns, line.cells, strict=True)):
            if cell is None:
                continue
            doubt = line.doubts[index] if line.doubts else ""
            numbers = [
                "" if math.isnan(each) else f"{each:.6g}" for each in (cell.value, cell.low, cell.high)
            ]
            place = [column.prompt, column.under, column.title]
            note = f"cannot be right: {doubt}" if doubt else cell.note
            row = [table.name, line.row.title, line.row.arm, line.source, line.people or ""]
            writer.writerow([*row, *place, *numbers, note])
    return text.getvalue()


def latex(table: Table, measured: Sequence[Measures]) -> str:
    """A booktabs table for each prompt: printed columns and faces, or our own where the paper has none."""
    every = list(lines(table, measured))
    columns = [*table.columns, *table.own]
    shown = [
        index
        for index, each in enumerate(columns)
        if not table.columns or index < len(table.columns) or FACES in each.figures
    ]
    counts = escaped("; ".join(map(_counts, measured)))
    parts = [f"% {table.name}. Needs \\usepackage{{booktabs,graphicx}}."]
    for prompt in dict.fromkeys(columns[index].prompt for index in shown):
        chosen = [index for index in shown if columns[index].prompt == prompt]
        heads = ["", "", *(_head(columns[index], LATEX_ARROWS) for index in chosen)]
        body = []
        for line in every:
            cells = [_cell(line, index, columns[index]) for index in chosen]
            if any(cell != NOTHING for cell in cells):
                row = " & ".join(map(escaped, [line.row.title, line.source, *cells]))
                # The empty group: LaTeX would take a title that begins with a bracket for a line's length.
                body.append(rf"{{}}{row} \\")
        parts += [
            r"\begin{table}",
            rf"\caption{{{' '.join(filter(None, (escaped(table.caption), escaped(prompt), counts)))}}}",
            r"\resizebox{\linewidth}{!}{%",
            rf"\begin{{tabular}}{{ll{'r' * len(chosen)}}}",
            r"\toprule",
            " & ".join(heads) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
        ]
    parts += [f"% {DOUBT} {why}" for why in dict.fromkeys(table.doubts.values())]
    return "\n".join(parts) + "\n"


def _whence(table: Table, measured: Sequence[Measures]) -> str:
    counts = [_counts(each) for each in measured]
    heads = {head for column in (*table.columns, *table.own) for head in (column.title, column.under)}
    own = [note for each in measured for head, note in each.notes.items() if head in heads]
    notes = " ".join([*(note for head, note in NOTES.items() if head in heads), *dict.fromkeys(own)])
    if any(find_method(row.arm).perturb for row in table.rows):
        notes += f" {PERTURBED}"
    return (
        f"{'; '.join(counts) or 'Nothing measured yet'}. {table.stands_in} Brackets: 95 % intervals over "
        "people, by bootstrap, or by jackknife where a figure is of all pictures at once. Identity figures "
        "are of pictures with a face unless the column says all; retrieval is in per cent; FID and KID are "
        "of all people's pictures against their clean photos: FID is biased at such counts, KID counts pairs "
        f"of different people alone. {notes}".rstrip()
    ).replace("  ", " ")


def _counts(measured: Measures) -> str:
    pictures, summary = measured.protocol.sampling.pictures, measured.summary
    return (
        f"{measured.label}: {len(measured.people)} people{'' if summary.paired else UNPAIRED}, "
        f"{pictures} pictures a prompt, a gallery of {summary.gallery}, faces by {measured.detector}"
    )


def _head(column: Column, arrows: dict[str, str]) -> str:
    words = " ".join(filter(None, (column.under, column.title)))
    return f"{escaped(words) if arrows is LATEX_ARROWS else words}{arrows[column.better]}"


def _cell(line: Line, index: int, column: Column) -> str:
    cell = line.cells[index]
    if cell is None or math.isnan(cell.value):
        return NOTHING
    digits = column.figures[0].digits
    text = f"{cell.value:.{digits}f}"
    if not math.isnan(cell.low):
        text += f" [{cell.low:.{digits}f}, {cell.high:.{digits}f}]"
    if cell.note:
        text += f" ({cell.note})" if not cell.note.startswith("of ") else f" {cell.note}"
    return text + (DOUBT if line.doubts and line.doubts[index] else "")


def escaped(text: str) -> str:
    """Text as LaTeX prints it."""
    return "".join(LATEX_SPECIAL.get(each, each) for each in text)

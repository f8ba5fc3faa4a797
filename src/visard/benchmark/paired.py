"""The rows of a table beside one of them, over the same people: more than each row's own interval tells."""

from __future__ import annotations

from visard.benchmark.measures import Measures
from visard.benchmark.per_person import Interval
from visard.benchmark.table import Figure, Table
from visard.benchmark.tables import NOTHING


def differences(table: Table, measured: Measures) -> dict[str, dict[str, Interval]]:
    """Title of a row -> head of a column -> how far the row lies above the one named by the table.

    Over all of the table's prompts and the people, seeds and prompts that both arms have; a figure that is
    not measured person by person, or not by both, is left out.
    """
    figures: dict[str, Figure] = {}
    for column in (*table.columns, *table.own):
        if len(column.figures) == 1 and not column.under:
            figures.setdefault(column.title, column.figures[0])
    found: dict[str, dict[str, Interval]] = {}
    for row in table.rows if table.beside else ():
        if row.arm == table.beside:
            continue
        apart = {head: measured.difference(row.arm, table.beside, figure) for head, figure in figures.items()}
        if known := {head: each for head, each in apart.items() if each is not None}:
            found[row.title] = known
    return found


def markdown(table: Table, measured: Measures) -> list[str]:
    """Lines of a table, bold where an interval leaves out zero; none where there is nothing to compare."""
    found = differences(table, measured)
    if not found:
        return []
    digits = {
        column.title: column.figures[0].digits for column in (*table.columns, *table.own) if column.figures
    }
    heads = list(dict.fromkeys(head for each in found.values() for head in each))
    reference = next(row.title for row in table.rows if row.arm == table.beside)
    lines = [
        f"**Beside “{reference}”** ({measured.label}): differences over the same people and all prompts "
        "above, with 95 % intervals, in bold where these leave out zero; not corrected for their number.",
        "",
        f"| {' | '.join(['', *heads])} |",
        f"|{'---|' * (1 + len(heads))}",
    ]
    for title, each in found.items():
        cells = [_cell(each.get(head), digits[head]) for head in heads]
        lines.append(f"| {' | '.join([title, *cells])} |")
    return lines


def _cell(apart: Interval | None, digits: int) -> str:
    if apart is None:
        return NOTHING
    text = apart.signed(digits)
    return f"**{text}**" if apart.leaves_out_zero else text

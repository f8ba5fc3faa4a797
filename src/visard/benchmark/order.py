"""Does a table of ours put its rows in the order in which the paper has them?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations

from visard.benchmark.measures import Cell, Measures
from visard.benchmark.table import Row, Table

WORDS = ("alike", "equal", "opposed")


@dataclass
class Order:
    """How our means have the pairs of rows that the paper tells apart in the columns of one head.

    counts: data set of the paper -> "alike", "equal" or "opposed" -> pairs. apart: of the opposed those whose
    95 % intervals do not touch, (higher, lower) as the paper has them.
    """

    head: str
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    apart: dict[tuple[str, str], None] = field(default_factory=dict)

    def compare(self, data: str, higher: tuple[Row, Cell], lower: tuple[Row, Cell]) -> None:
        """Count a pair of rows, of which the paper has `higher` above `lower`."""
        (over, ours_over), (under, ours_under) = higher, lower
        sign = (ours_over.value > ours_under.value) - (ours_over.value < ours_under.value)
        self.counts.setdefault(data, Counter())[WORDS[1 - sign]] += 1
        if ours_over.high < ours_under.low:
            self.apart[over.title, under.title] = None


def orders(table: Table, measured: Measures) -> list[Order]:
    """One for every head of the table; cells that cannot be right are left out."""
    found: dict[str, Order] = {}
    for index, column in enumerate(table.columns):
        head = column.under or column.title
        ours = {row.title: measured.cell(row.arm, column) for row in table.rows}
        for data, first, second in _pairs(table, index):
            mine, other = ours[first.title], ours[second.title]
            if mine is not None and other is not None:
                found.setdefault(head, Order(head)).compare(data, (first, mine), (second, other))
    return list(found.values())


def markdown(found: Iterable[Order]) -> list[str]:
    """Lines of a table; none where there is nothing to compare."""
    found = list(found)
    if not found:
        return []
    sets = list(dict.fromkeys(data for each in found for data in each.counts))
    heads = ["", *(f"pairs in {data}" for data in sets), "against the paper, intervals apart"]
    lines = [
        "**The paper's order of rows.** Of the pairs of rows that the paper prints as different: how many "
        "our means have alike, equal and opposed.",
        "",
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
    ]
    for each in found:
        counts = [each.counts.get(data, Counter()) for data in sets]
        cells = [", ".join(f"{count[word]} {word}" for word in WORDS) for count in counts]
        lines.append(f"| {' | '.join([each.head, *cells, _said(each.apart) or '–'])} |")
    return lines


def _pairs(table: Table, index: int) -> Iterator[tuple[str, Row, Row]]:
    """Data set, and two rows of which the paper has the first higher in that column."""
    for data in dict.fromkeys(data for row in table.rows for data in row.paper):
        printed = [
            (value, row)
            for row in table.rows
            for value in row.paper.get(data, ())[index : index + 1]
            if value is not None and (row.title, data, index) not in table.doubts
        ]
        for (one, first), (two, second) in combinations(printed, 2):
            if one != two:
                yield data, *((first, second) if one > two else (second, first))


def _said(apart: Iterable[tuple[str, str]]) -> str:
    """Pairs of (lower here, higher here) as "A, B below C; D below E"."""
    below: dict[str, list[str]] = {}
    for lower, higher in apart:
        below.setdefault(higher, []).append(lower)
    above: dict[tuple[str, ...], list[str]] = {}
    for higher, lowers in below.items():
        above.setdefault(tuple(sorted(lowers)), []).append(higher)
    return "; ".join(f"{', '.join(lowers)} below {', '.join(highers)}" for lowers, highers in above.items())

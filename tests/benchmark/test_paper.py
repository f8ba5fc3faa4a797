"""The typed figures against themselves: averages, orders and runs that stand in several tables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from visard.benchmark.ablations import OWN
from visard.benchmark.paper import PAPER, PROMPTS
from visard.benchmark.table import Column, Row, Table, printed

Cell = tuple[Table, Row, str, int, Column, float]
EVERY = [*PAPER, *OWN]


def cells() -> Iterator[Cell]:
    for table in PAPER:
        for row in table.rows:
            for data, values in row.paper.items():
                for index, (column, value) in enumerate(zip(table.columns, values, strict=True)):
                    if value is not None:
                        yield table, row, data, index, column, value


def doubted(cell: Cell) -> bool:
    table, row, data, index, _, _ = cell
    return (row.title, data, index) in table.doubts


def test_every_printed_row_fills_every_printed_column() -> None:
    assert [table.name for table in PAPER] == [f"table{number}" for number in range(1, 13)]
    assert sum(1 for _ in cells()) == 944


def test_printed_averages_are_those_of_the_recognisers() -> None:
    """A figure mistyped by more than rounding would show."""
    checked = 0
    for table, row, data, index, column, value in cells():
        if column.under == "Average":
            count = len(column.figures)
            parts = [row.paper[data][index - 2 * (back + 1)] for back in range(count)]
            assert value == pytest.approx(sum(p for p in parts if p is not None) / count, abs=0.02), (
                table.name,
                row.title,
            )
            checked += 1
    assert checked == 80


def test_the_first_five_hold_the_first_wherever_it_is_not_doubted() -> None:
    wrong = []
    for cell in cells():
        table, row, data, index, column, value = cell
        first = row.paper[data][index - 1]
        if column.title == "R5-U" and first is not None and first > value:
            wrong.append((table.name, row.title, column.under))
            assert doubted(cell)
    assert wrong == [("table12", "Ours", "FaceNet"), ("table12", "Ours", "Average")]


def test_the_same_run_has_the_same_figures_in_every_table_wherever_it_is_not_doubted() -> None:
    seen: dict[tuple[str, ...], float] = {}
    differ = []
    for cell in cells():
        table, row, data, _, column, value = cell
        if column.under == "Average" or data.endswith(("V1.5", "V1.4")):
            continue
        key = (data.removesuffix(", V2.1"), row.arm, column.prompt, column.under, column.title)
        if seen.setdefault(key, value) != value:
            differ.append((table.name, row.title, column.title))
            assert doubted(cell)
    assert differ == [("table7", "R50+R152+MF+FN", "ADA")]


def test_doubts_point_at_printed_cells() -> None:
    known = {(table.name, row.title, data, index) for table, row, data, index, _, _ in cells()}
    for table in PAPER:
        assert {(table.name, *where) for where in table.doubts} <= known


def test_a_row_may_go_on_in_the_next_line() -> None:
    text = "a | data | 1 2 | 3\n  | 4 -\nb | data | 5"
    assert printed(text) == {"a": {"data": (1.0, 2.0, 3.0, 4.0, None)}, "b": {"data": (5.0,)}}


@pytest.mark.parametrize("table", EVERY, ids=lambda table: table.name)
def test_tables_ask_for_prompts_every_unit_draws(table: Table) -> None:
    assert table.prompts
    assert set(table.prompts) <= set(PROMPTS)
    assert table.arms[0] == "none"
    assert len({row.title for row in table.rows}) == len(table.rows)
    assert table.beside in {"", *table.arms}

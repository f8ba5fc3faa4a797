"""Our rows against the order of the paper's: counted by pairs, and named where intervals lie apart."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from visard.benchmark.measures import Cell
from visard.benchmark.order import markdown, orders
from visard.benchmark.table import ISM, Column, Row, Table

FIRST, SECOND = Column("ISM", (ISM,), "one prompt"), Column("ISM", (ISM,), "another")


def table(**doubts: str) -> Table:
    printed = {"A": (0.9, 0.5), "B": (0.6, 0.5), "C": (0.3, None)}
    rows = tuple(Row(title, title, {"faces": values}) for title, values in printed.items())
    found = {("B", "faces", 0): doubts["b"]} if doubts else {}
    return Table("t", "", (*rows, Row("own", "own")), (FIRST, SECOND), doubts=found)


def measured(**ours: tuple[float, float, float]) -> Any:
    cells = {arm: Cell(*values) for arm, values in ours.items()}
    return SimpleNamespace(cell=lambda arm, column: cells.get(arm))


A, B, C = (0.9, 0.8, 1.0), (0.3, 0.2, 0.4), (0.6, 0.5, 0.7)


def test_pairs_are_counted_by_means_and_named_where_intervals_lie_apart() -> None:
    (found,) = orders(table(), measured(A=A, B=B, C=C))
    assert found.counts == {"faces": {"alike": 2, "opposed": 1}}  # the second column's tie is no pair
    assert list(found.apart) == [("B", "C")]
    page = markdown([found])
    assert page[-1] == "| ISM | 2 alike, 0 equal, 1 opposed | B below C |"


def test_intervals_that_touch_name_nothing() -> None:
    (found,) = orders(table(), measured(A=A, B=(0.3, 0.2, 0.55), C=C))
    assert found.counts["faces"]["opposed"] == 1
    assert not found.apart


def test_equal_means_are_neither() -> None:
    (found,) = orders(table(), measured(A=A, B=A, C=C))
    assert found.counts == {"faces": {"alike": 2, "equal": 1}}


def test_rows_below_the_same_are_said_together() -> None:
    (found,) = orders(table(), measured(A=B, B=B, C=A))
    assert markdown([found])[-1].endswith("| A, B below C |")


def test_what_is_missing_or_doubtful_is_not_compared() -> None:
    (found,) = orders(table(b="a misprint"), measured(A=A, B=B, C=C))
    assert found.counts == {"faces": {"alike": 1}}
    assert orders(table(), measured(A=A)) == []
    assert markdown([]) == []

"""Rows beside one of them over the same people: what everybody shows is seen, however people differ."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from visard.benchmark import job, layout
from visard.benchmark.catalogue import CATALOGUE
from visard.benchmark.measures import Measures
from visard.benchmark.paired import differences, markdown
from visard.benchmark.per_person import Interval, PerPerson
from visard.benchmark.table import FACES, ISM, KID, Column, Figure, Row, Table

OTHER = Figure("other", digits=1)
COLUMNS = (
    Column("ISM", (ISM,), "one prompt"),
    Column("ISM", (ISM,), "another"),
    Column("other", (OTHER,), "one prompt"),
    Column("faces", (FACES,), "one prompt"),
    Column("Average", (ISM, OTHER), "one prompt"),
)
TABLE = Table("t", "", (Row("A", "a"), Row("B", "b"), Row("C", "c")), COLUMNS, beside="b")
APART = {
    ("a", "similarity"): Interval(0.25, 0.2, 0.3),
    ("a", "other"): Interval(-1.0, -3.0, 1.0),
    ("c", "similarity"): Interval(-0.5, math.nan, math.nan),
}


def measured() -> Any:
    def difference(arm: str, other: str, figure: Figure) -> Interval | None:
        assert other == "b"
        return APART.get((arm, figure.key))

    return SimpleNamespace(label="ours", difference=difference)


def test_every_other_row_is_compared_in_each_figure_once() -> None:
    assert differences(TABLE, measured()) == {
        "A": {"ISM": APART["a", "similarity"], "other": APART["a", "other"]},
        "C": {"ISM": APART["c", "similarity"]},
    }


def test_what_leaves_out_zero_is_bold_and_what_is_not_known_is_not() -> None:
    page = markdown(TABLE, measured())
    assert page[0].startswith("**Beside “B”** (ours)")
    assert page[-4:] == [
        "|  | ISM | other |",
        "|---|---|---|",
        "| A | **+0.25 [+0.20, +0.30]** | -1.0 [-3.0, +1.0] |",
        "| C | -0.50 | – |",
    ]


def test_without_a_row_to_compare_with_there_is_nothing() -> None:
    assert markdown(replace(TABLE, beside=""), measured()) == []
    nothing = SimpleNamespace(label="", difference=lambda *_: None)
    assert markdown(TABLE, nothing) == []  # type: ignore[arg-type]


def test_a_difference_that_everybody_has_is_seen_among_people_who_differ_more() -> None:
    people = torch.tensor([[0.1], [0.4], [0.7], [0.9]], dtype=torch.float64)
    chosen = torch.randint(4, (500, 4), generator=torch.Generator().manual_seed(0))
    more, less = PerPerson(people + 0.05, False), PerPerson(people, False)
    assert not more.interval(chosen).apart(less.interval(chosen))
    assert more.minus(less, chosen).leaves_out_zero
    assert more.minus(less, chosen).signed(2) == "+0.05 [+0.05, +0.05]"


def test_an_interval_that_is_not_known_tells_nothing() -> None:
    alone = Interval(0.5, math.nan, math.nan)
    assert alone.apart(Interval(0.1, 0.0, 0.2)) is None
    assert not alone.leaves_out_zero


@pytest.mark.parametrize("name", ["table4", "table9", "decision14"])
def test_tables_of_choices_say_it_below_their_rows(bench: Path, name: str) -> None:
    table = CATALOGUE[name]
    measured = Measures("ours, tiny", bench, job.finished(bench))
    page = layout.markdown(table, [measured])
    reference = next(row.title for row in table.rows if row.arm == table.beside)
    (where,) = [index for index, line in enumerate(page.splitlines()) if "**Beside “" in line]
    assert f"**Beside “{reference}”** (ours, tiny)" in page
    heads = page.splitlines()[where + 2]
    assert "ISM" in heads
    assert KID.key.upper() not in heads  # of all pictures at once, and not compared

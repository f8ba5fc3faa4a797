from __future__ import annotations

from types import SimpleNamespace

import pytest

from visard.benchmark.acceptance import acceptance, below
from visard.benchmark.per_person import Interval
from visard.benchmark.summary import ALL_PROMPTS, Row, Summary
from visard.benchmark.table import Figure


def rows(
    arm: str, ism: float, ada: float | None = None, fsr: float = 1.0, spread: float = 0.01, real: float = 0.8
) -> list[Row]:
    """An arm's figures; no defence has similarities of .7."""

    def row(recognizer: str, figure: str, value: float) -> Row:
        change = None if arm == "none" else Interval(value / 0.7 - 1, value / 0.7 - 1.1, value / 0.7 - 0.9)
        mean = Interval(value, value - spread, value + spread)
        return Row(arm, ALL_PROMPTS, "judges", recognizer, figure, mean, change, 10, 160, round(160 * fsr))

    return [
        row("arcface", "similarity", ism),
        row("adaface", "similarity", ism if ada is None else ada),
        row("arcface", "real", real),
        row("", "fsr", fsr),
    ]


def judged(*arms: list[Row], width: float = 0.0) -> list[bool | None]:
    """Differences have intervals of so much to either side."""
    summary = Summary([row for arm in arms for row in arm])

    def difference(arm: str, other: str, figure: Figure) -> Interval | None:
        mine, theirs = (summary.find(each, ALL_PROMPTS, "arcface", figure.key) for each in (arm, other))
        if mine is None or theirs is None:
            return None
        apart = mine.mean.value - theirs.mean.value
        return Interval(apart, apart - width, apart + width)

    return [check.passed for check in acceptance(SimpleNamespace(summary=summary, difference=difference))]


GOOD = {
    "none": rows("none", 0.7),
    "0.1": rows("0.1", 0.2),
    "0.3": rows("0.3", 0.3),
    "0.5": rows("0.5", 0.4),
}


def test_all_items_pass() -> None:
    assert judged(*GOOD.values()) == [True] * 7


@pytest.mark.parametrize(
    ("arm", "changed", "failing"),
    [
        ("none", rows("none", 0.7, real=0.95), {0}),
        ("none", rows("none", 0.7, fsr=0.94), {1}),
        ("0.1", rows("0.1", 0.6, 0.2), {2, 5}),
        ("0.1", rows("0.1", 0.2, 0.6), {3}),
        ("0.1", rows("0.1", 0.2, fsr=0.94), {4}),
        ("0.3", rows("0.3", 0.2), {5}),
        ("0.5", rows("0.5", 0.71), {5}),
        ("0.1", rows("0.1", 0.2, spread=0.5), {6}),
    ],
)
def test_each_item_fails_by_its_own_figure(arm: str, changed: list[Row], failing: set[int]) -> None:
    verdicts = judged(*{**GOOD, arm: changed}.values())
    assert {index for index, passed in enumerate(verdicts) if passed is False} == failing


def test_the_share_of_faces_is_relative_to_no_defence() -> None:
    arms = {**GOOD, "none": rows("none", 0.7, fsr=0.96), "0.1": rows("0.1", 0.2, fsr=0.93)}
    assert judged(*arms.values()) == [True] * 7


def test_what_was_not_measured_is_neither_passed_nor_failed() -> None:
    assert judged(GOOD["none"]) == [True, True, None, None, None, None, None]
    assert judged(GOOD["none"], GOOD["0.1"]) == [True, True, True, True, True, None, True]
    assert judged(GOOD["0.1"])[:2] == [None, None]


def test_what_intervals_leave_open_is_not_decided() -> None:
    almost = rows("0.1", 0.45)  # a third below no defence, give or take a tenth
    assert judged(GOOD["none"], almost, GOOD["0.3"], GOOD["0.5"])[2:4] == [None, None]
    assert judged(*GOOD.values(), width=0.2)[5] is None
    nan = float("nan")
    assert below(Interval(-0.9, nan, nan), -0.3) is None  # of one person
    assert judged(*GOOD.values(), width=nan)[5] is None


def test_one_person_does_not_decide_whether_intervals_touch() -> None:
    nan = float("nan")
    alone = {arm: rows(arm, each[0].mean.value, spread=nan) for arm, each in GOOD.items()}
    assert judged(*alone.values())[6] is None

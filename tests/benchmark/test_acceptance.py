from __future__ import annotations

import pytest

from visard.benchmark.acceptance import acceptance
from visard.benchmark.summary import ALL_PROMPTS, Interval, Row, Summary


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


def judged(*arms: list[Row]) -> list[bool | None]:
    summary = Summary([row for arm in arms for row in arm])
    return [check.passed for check in acceptance(summary, summary)]


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
        ("0.1", rows("0.1", 0.499, 0.2), {2, 5}),
        ("0.1", rows("0.1", 0.2, 0.5), {3}),
        ("0.1", rows("0.1", 0.2, fsr=0.94), {4}),
        ("0.3", rows("0.3", 0.2), {5}),
        ("0.5", rows("0.5", 0.71), {5}),
        ("0.1", rows("0.1", 0.2, spread=0.5), {6}),
    ],
)
def test_each_item_fails_by_its_own_figure(arm: str, changed: list[Row], failing: set[int]) -> None:
    verdicts = judged(*{**GOOD, arm: changed}.values())
    assert {index for index, passed in enumerate(verdicts) if not passed} == failing


def test_the_share_of_faces_is_relative_to_no_defence() -> None:
    arms = {**GOOD, "none": rows("none", 0.7, fsr=0.96), "0.1": rows("0.1", 0.2, fsr=0.93)}
    assert judged(*arms.values()) == [True] * 7


def test_what_was_not_measured_is_neither_passed_nor_failed() -> None:
    assert judged(GOOD["none"]) == [True, True, None, None, None, None, None]
    assert judged(GOOD["none"], GOOD["0.1"]) == [True, True, True, True, True, None, True]
    assert judged(GOOD["0.1"])[:2] == [None, None]


def test_one_person_is_not_enough_for_intervals_that_do_not_touch() -> None:
    nan = float("nan")
    alone = {arm: rows(arm, each[0].mean.value, spread=nan) for arm, each in GOOD.items()}
    assert judged(*alone.values())[6] is False


def test_the_dial_is_read_from_the_people_every_arm_has() -> None:
    """Rho .3 on an easy person alone would look better than rho .1 on everyone."""
    everyone = Summary(
        [row for arm, each in GOOD.items() for row in (rows(arm, 0.1) if arm == "0.3" else each)]
    )
    shared = Summary([row for each in GOOD.values() for row in each])
    assert [check.passed for check in acceptance(everyone, everyone)][5] is False
    assert [check.passed for check in acceptance(everyone, shared)][5] is True

"""What must hold of whole tables: each item fails by its own figure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from visard.benchmark.catalogue import CATALOGUE
from visard.benchmark.measures import Cell
from visard.benchmark.shape import RIVALS, remarks
from visard.benchmark.summary import ALL_PROMPTS, Interval, Row, Summary

PROMPT = "one prompt"


def measured(figures: dict[str, dict[str, float]], fid: dict[str, float]) -> Any:
    """Arm -> similarity, fsr, agreement; similarities of no defence are .7."""
    rows = []
    for arm, each in figures.items():
        for name, value in each.items():
            change = Interval(value / 0.7 - 1, 0.0, 0.0) if arm != "none" else None
            judge = "arcface" if name == "similarity" else ""
            mean = Interval(value, value, value)
            rows += [
                Row(arm, prompt, "judges" if judge else "", judge, name, mean, change, 20, 160, 150)
                for prompt in (PROMPT, ALL_PROMPTS)
            ]
    cell = lambda arm, column: Cell(fid[arm]) if arm in fid else None  # noqa: E731
    return SimpleNamespace(summary=Summary(rows), cell=cell)


DIAL = {
    "none": {"similarity": 0.7, "fsr": 1.0},
    "0.1": {"similarity": 0.3, "fsr": 0.97},
    "0.3": {"similarity": 0.4, "fsr": 0.98},
    "0.5": {"similarity": 0.5, "fsr": 0.99},
}
FIDS = {"0.1": 30.0, "anti-dreambooth": 70.0, "simac": 70.0, "anti-diffusion": 70.0}


def verdicts(**changed: dict[str, float]) -> list[bool | None]:
    rivals = {arm: {"similarity": 0.6, "fsr": 1.0} for arm in RIVALS}
    figures = {**DIAL, **rivals, **{name.replace("_", "-"): each for name, each in changed.items()}}
    return [check.passed for check in remarks(CATALOGUE["table1"], measured(figures, FIDS))]


def test_table_1_holds() -> None:
    assert verdicts() == [True] * 7


@pytest.mark.parametrize(("arm", "item"), [("0.1", 0), ("0.3", 1), ("0.5", 2)])
def test_lost_faces_fail_their_own_item(arm: str, item: int) -> None:
    found = verdicts(**{arm: {**DIAL[arm], "fsr": 0.9}})
    assert [index for index, passed in enumerate(found) if not passed] == [item]


def test_a_rival_that_lowers_similarity_for_nothing_fails() -> None:
    figures = {**DIAL, **{arm: {"similarity": 0.6, "fsr": 0.97} for arm in RIVALS}}
    cheap = measured(figures, {**FIDS, "simac": 20.0})
    assert [check.passed for check in remarks(CATALOGUE["table1"], cheap)][4:] == [True, False, True]
    control = remarks(CATALOGUE["table1"], measured(figures, {**FIDS, "random": 65.0}))
    assert "FID 70.0 against 30.0 (noise without aim: 65.0)" in control[4].measured
    figures["simac"] = {"similarity": 0.75, "fsr": 0.97}
    assert all(
        check.passed for check in remarks(CATALOGUE["table1"], measured(figures, {**FIDS, "simac": 20.0}))
    )
    unknown = measured({**DIAL, **{arm: {"similarity": 0.6, "fsr": 0.97} for arm in RIVALS}}, {})
    assert [check.passed for check in remarks(CATALOGUE["table1"], unknown)][4:] == [None] * 3


def test_the_early_stop_is_the_first_that_is_as_useful() -> None:
    arms = {
        "none": {"similarity": 0.7, "agreement": 0.8},
        "0.1": {"similarity": 0.3, "agreement": 0.7},
        "early-50": {"similarity": 0.2, "agreement": 0.6},
        "early-150": {"similarity": 0.4, "agreement": 0.72},
        "early-300": {"similarity": 0.6, "agreement": 0.75},
    }
    (found,) = remarks(CATALOGUE["early"], measured(arms, {}))
    assert found.passed
    assert "after 150 steps (agreement 0.72 of 0.70): ISM 0.40, with the defence 0.30" in found.measured
    arms["early-50"]["agreement"] = 0.71
    (found,) = remarks(CATALOGUE["early"], measured(arms, {}))
    assert found.passed is False
    (found,) = remarks(CATALOGUE["early"], measured({"none": arms["none"]}, {}))
    assert found.passed is None


def test_other_tables_have_no_such_list() -> None:
    assert remarks(CATALOGUE["table2"], measured(DIAL, {})) == []

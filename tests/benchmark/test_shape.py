"""What must hold of whole tables: each item fails by its own figure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from visard.benchmark.catalogue import CATALOGUE
from visard.benchmark.paper import RIVALS
from visard.benchmark.per_person import Interval
from visard.benchmark.shape import remarks
from visard.benchmark.summary import ALL_PROMPTS, Row, Summary
from visard.benchmark.table import Figure

PROMPT = "one prompt"


def measured(figures: dict[str, dict[str, float]], fid: dict[str, float], width: float = 0.0) -> Any:
    """Arm -> similarity, fsr, agreement; differences have intervals of so much to either side."""
    rows = []
    for arm, each in figures.items():
        for name, value in each.items():
            judge = "arcface" if name in ("similarity", "linked") else ""
            mean = Interval(value, value, value)
            rows += [
                Row(arm, prompt, "judges" if judge else "", judge, name, mean, None, 20, 160, 150)
                for prompt in (PROMPT, ALL_PROMPTS)
            ]

    def difference(arm: str, other: str, figure: Figure) -> Interval | None:
        values = (
            fid if figure.key == "fid" else {name: each.get(figure.key) for name, each in figures.items()}
        )
        mine, theirs = values.get(arm), values.get(other)
        if mine is None or theirs is None:
            return None
        return Interval(mine - theirs, mine - theirs - width, mine - theirs + width)

    return SimpleNamespace(summary=Summary(rows), difference=difference)


DIAL = {
    "none": {"similarity": 0.7, "fsr": 1.0},
    "0.1": {"similarity": 0.3, "fsr": 0.97},
    "0.3": {"similarity": 0.4, "fsr": 0.98},
    "0.5": {"similarity": 0.5, "fsr": 0.99},
}
FIDS = {"0.1": 30.0, "anti-dreambooth": 70.0, "simac": 70.0, "anti-diffusion": 70.0}


ARMS = [arm for _, arm in RIVALS]


def verdicts(**changed: dict[str, float]) -> list[bool | None]:
    rivals = {arm: {"similarity": 0.6, "fsr": 1.0} for arm in ARMS}
    figures = {**DIAL, **rivals, **{name.replace("_", "-"): each for name, each in changed.items()}}
    return [check.passed for check in remarks(CATALOGUE["table1"], measured(figures, FIDS))]


def test_table_1_holds() -> None:
    assert verdicts() == [True] * 7


@pytest.mark.parametrize(("arm", "item"), [("0.1", 0), ("0.3", 1), ("0.5", 2)])
def test_lost_faces_fail_their_own_item(arm: str, item: int) -> None:
    found = verdicts(**{arm: {**DIAL[arm], "fsr": 0.9}})
    assert [index for index, passed in enumerate(found) if not passed] == [item]


def rivals_verdicts(width: float, fid: dict[str, float], **changed: float) -> list[bool | None]:
    """Of rivals with as many faces as the defence."""
    figures = {**DIAL, **{arm: {"similarity": 0.6, "fsr": 0.97} for arm in ARMS}}
    figures["simac"] |= changed
    found = remarks(CATALOGUE["table1"], measured(figures, {**FIDS, **fid}, width))
    return [check.passed for check in found][4:]


def test_a_rival_that_lowers_similarity_for_nothing_fails() -> None:
    assert rivals_verdicts(0.0, {"simac": 20.0}) == [True, False, True]
    assert rivals_verdicts(0.0, {"simac": 20.0}, fsr=0.9) == [True, True, True]  # it paid in faces
    assert rivals_verdicts(0.0, {"simac": 20.0}, similarity=0.75) == [True, True, True]  # it lowers nothing


def test_what_intervals_leave_open_is_not_decided() -> None:
    assert rivals_verdicts(0.05, {"simac": 20.0}) == [True, None, True]  # of faces
    assert rivals_verdicts(0.2, {"simac": 20.0}) == [None] * 3  # of whether anything is lowered
    assert rivals_verdicts(float("nan"), {"simac": 20.0}) == [None] * 3  # of one person
    unknown = measured({**DIAL, **{arm: {"similarity": 0.6, "fsr": 0.97} for arm in ARMS}}, {})
    assert [check.passed for check in remarks(CATALOGUE["table1"], unknown)][4:] == [None] * 3


def test_rivals_stand_beside_photos_without_aim() -> None:
    figures = {**DIAL, "half": {"similarity": 0.75}, "simac": {"similarity": 0.6, "fsr": 0.97}}
    found = remarks(CATALOGUE["table1"], measured(figures, FIDS))[5].measured
    assert "ISM -0.10 [-0.10, -0.10], beside “Half of the photos, clean” -0.15" in found
    assert "FID +40.0" in found
    figures["simac"]["similarity"] = (
        0.72  # more than no defence, which trains otherwise, and less than the half
    )
    check = remarks(CATALOGUE["table1"], measured(figures, {**FIDS, "simac": 20.0}))[5]
    assert check.passed is False
    assert "lowers nothing" not in check.measured


@pytest.mark.parametrize(
    ("agreement", "width", "passed"), [(0.8, 0.01, True), (0.8, 0.2, None), (0.6, 0.01, False)]
)
def test_the_gate_asks_for_more_than_words(agreement: float, width: float, passed: bool | None) -> None:
    figures = {
        "none": {"similarity": 0.7, "linked": 0.9, "agreement": 0.9, "agreement_all": 0.9},
        "0.1": {"similarity": 0.3, "linked": 0.1, "agreement": agreement, "agreement_all": agreement},
        "attributes": {"similarity": 0.1, "linked": 0.0, "agreement": 0.7, "agreement_all": 0.7},
    }
    found = remarks(CATALOGUE["controls"], measured(figures, {}, width))
    assert [check.passed for check in found] == [passed, None, None]
    figures["0.1"]["agreement_of_photos"] = 0.7  # words alone agree as often as photos of the person do
    (found, *_) = remarks(CATALOGUE["controls"], measured(figures, {}, width))
    assert found.passed is None
    assert "not even real photos show more, 0.70 with one another against 0.70" in found.measured
    figures["0.1"]["agreement_of_photos"] = 0.9
    assert remarks(CATALOGUE["controls"], measured(figures, {}, width))[0].passed is passed


def test_where_people_are_described_that_decides_and_not_the_words() -> None:
    figures = {
        "none": {"similarity": 0.7, "linked": 0.9},
        "0.1": {"similarity": 0.3, "linked": 0.1, "agreement": 0.6, "agreement_all": 0.6},
        "attributes": {"similarity": 0.1, "linked": 0.0, "agreement": 0.7, "agreement_all": 0.7},
        "early-50": {"similarity": 0.2, "agreement": 0.8},
    }
    assert remarks(CATALOGUE["controls"], measured(figures, {}))[0].passed is False
    assert remarks(CATALOGUE["early"], measured(figures, {}))[0].passed is False
    for arm, described in (("0.1", 0.6), ("attributes", 0.4), ("early-50", 0.5)):
        figures[arm] |= {"appearance": described, "appearance_all": described}
    (gate, *_), (early,) = (remarks(CATALOGUE[name], measured(figures, {})) for name in ("controls", "early"))
    assert gate.passed is early.passed is True
    figures["strength-0.5"] = {"similarity": 0.3, "appearance": 0.65}
    (early,) = remarks(CATALOGUE["early"], measured(figures, {}))
    assert early.passed is False
    assert "at strength 0.5 its appearance is +0.05" in early.measured
    assert "appearance +0.20" in gate.measured
    figures["0.1"]["appearance_all"] = 0.3  # by destroying faces
    assert remarks(CATALOGUE["controls"], measured(figures, {}))[0].passed is False


@pytest.mark.parametrize(("name", "value"), [("agreement_all", 0.2), ("similarity", 0.75), ("linked", 0.95)])
def test_the_gate_is_passed_by_no_half(name: str, value: float) -> None:
    """Faces destroyed, or no defence at all."""
    defended = {"similarity": 0.3, "linked": 0.1, "agreement": 0.8, "agreement_all": 0.8}
    figures = {
        "none": {"similarity": 0.7, "linked": 0.9, "agreement": 0.9, "agreement_all": 0.9},
        "attributes": {"similarity": 0.1, "linked": 0.0, "agreement": 0.7, "agreement_all": 0.7},
        "0.1": defended,
    }
    assert remarks(CATALOGUE["controls"], measured(figures, {}, 0.01))[0].passed
    defended[name] = value
    assert remarks(CATALOGUE["controls"], measured(figures, {}, 0.01))[0].passed is False


def test_an_early_stop_that_may_be_as_useful_leaves_it_open() -> None:
    arms = {
        "none": {"similarity": 0.7, "agreement": 0.8},
        "0.1": {"similarity": 0.3, "agreement": 0.7},
        "early-50": {"similarity": 0.2, "agreement": 0.6},
        "early-150": {"similarity": 0.4, "agreement": 0.72},
        "early-300": {"similarity": 0.6, "agreement": 0.75},
    }
    (found,) = remarks(CATALOGUE["early"], measured(arms, {}))
    assert found.passed
    assert "after 150 steps its agreement is +0.02 [" in found.measured
    assert "the defence's ISM -0.10 [" in found.measured
    (open_,) = remarks(CATALOGUE["early"], measured(arms, {}, 0.2))
    assert open_.passed is None
    assert "after 50 steps" in open_.measured
    arms["early-50"]["agreement"] = 0.65
    (unproven,) = remarks(CATALOGUE["early"], measured(arms, {}, 0.09))
    assert unproven.passed is None  # linked less, and not shown to be less useful, nor to be as useful
    arms["early-50"]["agreement"] = 0.71
    (found,) = remarks(CATALOGUE["early"], measured(arms, {}))
    assert found.passed is False
    (found,) = remarks(CATALOGUE["early"], measured({"none": arms["none"]}, {}))
    assert found.passed is None


def test_other_tables_have_no_such_list() -> None:
    assert remarks(CATALOGUE["table2"], measured(DIAL, {})) == []


def test_at_another_guidance_arms_drawn_there_are_compared() -> None:
    """Those at the usual guidance fail the item; what is drawn at 7.5 is told apart by its FID."""
    figures = {f"{arm}@7.5": {"similarity": 0.5, "fsr": 1.0} for arm in ARMS}
    figures |= {"none@7.5": {"similarity": 0.7, "fsr": 1.0}, "0.1@7.5": {"similarity": 0.3, "fsr": 1.0}}
    fids = {"0.1@7.5": 10.0, "anti-dreambooth@7.5": 20.0, "simac@7.5": 9.0, "anti-diffusion@7.5": 20.0}
    usual = {arm: {"similarity": 0.5, "fsr": 1.0} for arm in ARMS}
    found = remarks(CATALOGUE["guidance"], measured({**DIAL, **usual, **figures}, fids))
    assert [check.passed for check in found] == [True, False, True]
    assert "simac@7.5 lowers ISM only with" in found[1].demand
    assert "rho = 0.1@7.5" in found[1].demand

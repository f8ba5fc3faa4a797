from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from visard.benchmark.per_person import Interval
from visard.benchmark.protocol import Unit
from visard.benchmark.result import Result
from visard.benchmark.summary import (
    AGREEMENT,
    ALL_PROMPTS,
    APPEARANCE,
    OF_ALL,
    Summary,
    difference,
    mean_over_figures,
    of_prompts,
    shared_people,
    summarize,
)

ONE, TWO = "one prompt", "another prompt"


def result(
    person: int, arm: str, similarity: dict[str, float | None], seed: int = 0, faces: int = 4
) -> Result:
    """A unit whose only judge says `similarity` of each prompt's four pictures."""
    prompts = {
        prompt: {"similarity": value, "rank_1": 0.0, "similarities": [value] * 4}
        for prompt, value in similarity.items()
    }
    scores: dict[str, Any] = {
        "prompts": {prompt: {"pictures": 4, "faces": faces} for prompt in similarity},
        "judges": {"arcface": {"real": 0.9, "prompts": prompts}},
        "surrogates": {},
    }
    return Result(Unit(person, arm, seed), scores, {})


def value(summary: Summary, arm: str, prompt: str, figure: str = "similarity") -> Interval:
    row = summary.find(arm, prompt, "" if figure == "fsr" else "arcface", figure)
    assert row is not None
    return row.mean


def change(summary: Summary, arm: str, prompt: str, figure: str = "similarity") -> Interval | None:
    row = summary.find(arm, prompt, "arcface", figure)
    assert row is not None
    return row.change


def test_means_are_over_people_and_a_person_with_more_seeds_weighs_no_more() -> None:
    units = [
        result(1, "none", {ONE: 0.2}, seed=0),
        result(1, "none", {ONE: 0.4}, seed=1),
        result(1, "none", {ONE: 0.6}, seed=2),
        result(2, "none", {ONE: 0.8}),
    ]
    assert value(summarize(units), "none", ONE).value == pytest.approx((0.4 + 0.8) / 2)


def test_all_prompts_is_the_mean_of_the_prompts_of_each_person() -> None:
    summary = summarize([result(1, "none", {ONE: 0.2, TWO: 0.6}), result(2, "none", {ONE: 0.4, TWO: 0.8})])
    assert value(summary, "none", ONE).value == pytest.approx(0.3)
    assert value(summary, "none", TWO).value == pytest.approx(0.7)
    assert value(summary, "none", ALL_PROMPTS).value == pytest.approx(0.5)
    assert value(summary, "none", ALL_PROMPTS, "real").value == pytest.approx(0.9)


def test_faces_are_counted() -> None:
    summary = summarize([result(1, "none", {ONE: 0.2}, faces=4), result(2, "none", {ONE: 0.4}, faces=1)])
    row = summary.find("none", ONE, "", "fsr")
    assert row is not None
    assert (row.people, row.pictures, row.faces) == (2, 8, 5)
    assert row.mean.value == pytest.approx((1 + 0.25) / 2)


def test_a_person_without_any_face_is_left_out_of_similarities_and_counted() -> None:
    summary = summarize([result(1, "none", {ONE: 0.2}), result(2, "none", {ONE: None}, faces=0)])
    row = summary.find("none", ONE, "arcface", "similarity")
    assert row is not None
    assert row.people == 1
    assert row.mean.value == pytest.approx(0.2)
    assert value(summary, "none", ONE, "fsr").value == pytest.approx(0.5)


def test_changes_are_paired_by_person_seed_and_prompt() -> None:
    units = [
        result(1, "none", {ONE: 0.5}),
        result(2, "none", {ONE: 0.7}),
        result(3, "none", {ONE: 0.1}),  # not finished under 0.1: it must not pull the base down
        result(1, "0.1", {ONE: 0.1}),
        result(2, "0.1", {ONE: 0.2}),
        result(2, "0.1", {ONE: 0.9}, seed=1),  # no undefended unit of that seed
    ]
    found = change(summarize(units), "0.1", ONE)
    assert found is not None
    assert found.value == pytest.approx((0.1 + 0.2) / (0.5 + 0.7) - 1)
    assert change(summarize(units), "none", ONE) is None


def test_there_is_no_relative_change_of_nothing() -> None:
    units = [result(1, "none", {ONE: 0.5}), result(1, "0.1", {ONE: 0.4})]
    assert change(summarize(units), "0.1", ONE, "rank_1") is None


def test_the_bootstrap_resamples_people_not_pictures() -> None:
    """Ten people at 0 and ten at 1, of hundreds of pictures: as wide as twenty values of that spread are."""
    summary = summarize([result(person, "none", {ONE: float(person % 2)}) for person in range(20)])
    interval = value(summary, "none", ONE)
    assert interval.value == 0.5
    reach = 2.093 * (0.25 / 19) ** 0.5  # Student's t of 19, and the standard error
    assert (interval.low, interval.high) == pytest.approx((0.5 - reach, 0.5 + reach), abs=0.05)
    two = summarize([result(1, "none", {ONE: 0.0}), result(2, "none", {ONE: 1.0})])
    assert value(two, "none", ONE).low < 0  # of two people next to nothing follows
    equal = summarize([result(person, "none", {ONE: 0.5}) for person in range(5)])
    assert value(equal, "none", ONE) == Interval(0.5, 0.5, 0.5)


def test_a_difference_is_of_the_same_people_and_prompts() -> None:
    units = [result(person, "none", {ONE: 0.2 * person}) for person in range(1, 6)]
    units += [result(person, "0.1", {ONE: 0.2 * person - 0.1}) for person in range(1, 5)]
    found = difference(units, "0.1", "none", "arcface", "similarity")
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((-0.1, -0.1, -0.1))
    assert difference(units, "0.1", "0.3", "arcface", "similarity") is None


def test_a_difference_of_shares_leaves_the_rule_of_three() -> None:
    """Five people all named, and none of them: ten people more might be otherwise."""
    units = [result(person, "none", {ONE: 0.5}) for person in range(5)]
    units += [result(person, "0.1", {ONE: 0.5}, faces=0) for person in range(5)]
    found = difference(units, "0.1", "none", "", "fsr")
    assert found is not None
    assert (found.value, found.low) == (-1.0, -1.0)
    assert -0.5 < found.high < 0.0
    row = summarize(units).find("0.1", ONE, "", "fsr")
    assert row is not None
    assert row.change is not None
    assert math.isnan(row.change.low)  # the same in every draw, of which nothing follows


def test_shares_above_a_threshold_are_redrawn_with_it() -> None:
    """Twenty people alike, of whom half are linked as soon as the strangers are drawn otherwise."""
    plain = [result(person, "none", {ONE: 0.5}) for person in range(20)]
    drawn = torch.tensor([0.0, 0.5]).repeat(50)
    units = [replace(each, redrawn={f"arcface/{ONE}/rank_1": drawn}) for each in plain]
    without, with_draws = (value(summarize(each), "none", ONE, "rank_1") for each in (plain, units))
    assert without.value == with_draws.value == 0.0
    assert without.high == pytest.approx(3 / 20)
    assert with_draws.high >= 0.5
    both = [*units, *(replace(each, unit=replace(each.unit, arm="0.1")) for each in units)]
    apart = difference(both, "0.1", "none", "arcface", "rank_1")
    assert apart is not None
    assert apart.high < 0.25  # the same strangers are drawn for both arms


def test_a_lost_face_resembles_nobody() -> None:
    (unit,) = [result(1, "none", {ONE: 0.5}, faces=1)]
    unit.scores["prompts"][ONE] |= {"agreement": 0.8, "agreement_of_photos": 0.9}
    unit.scores["prompts"][ONE] |= {"appearance": -0.4, "appearance_of_photos": 0.9}
    for figure, value in ((AGREEMENT, 0.2), (APPEARANCE, 0.0)):
        row = summarize([unit]).find("none", ONE, "", figure + OF_ALL)
        assert row is not None
        assert row.mean.value == pytest.approx(value)
    unit.scores["prompts"][ONE] |= {
        "agreement": None,
        "agreement_of_photos": None,
    }  # no attributes in the kit
    assert summarize([unit]).find("none", ONE, "", AGREEMENT + OF_ALL) is None


def test_a_summary_says_whether_arms_are_of_the_same_people() -> None:
    one, two = result(1, "none", {ONE: 0.2}), result(2, "0.1", {ONE: 0.4})
    assert not summarize([one, two]).paired
    assert summarize([one, replace(two, unit=Unit(1, "0.1", 0))]).paired


def test_figures_can_be_of_some_prompts_alone() -> None:
    whole = [result(1, "none", {ONE: 0.2, TWO: 0.6})]
    prompt = next(iter(whole[0].scores["prompts"]))
    (part,) = of_prompts(whole, [prompt])
    assert list(part.scores["prompts"]) == [prompt]
    assert all(list(each["prompts"]) == [prompt] for each in part.scores["judges"].values())
    assert len(whole[0].scores["prompts"]) == 2  # the others are still there


def test_the_interval_of_a_change_uses_the_same_people_above_and_below() -> None:
    """Everyone loses the same share: however people are drawn, that is the change."""
    units = [result(person, "none", {ONE: 0.2 * person}) for person in range(1, 5)]
    units += [result(person, "0.1", {ONE: 0.05 * person}) for person in range(1, 5)]
    found = change(summarize(units), "0.1", ONE)
    assert found is not None
    assert (found.low, found.value, found.high) == pytest.approx((-0.75, -0.75, -0.75))


def test_one_person_gives_no_interval() -> None:
    interval = value(summarize([result(1, "none", {ONE: 0.4})]), "none", ONE)
    assert interval.value == pytest.approx(0.4)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert not interval.apart(Interval(9.0, 9.0, 9.0))


def test_the_undefended_arm_comes_first() -> None:
    units = [result(1, arm, {ONE: 0.4}) for arm in ("0.5", "0.1", "none")]
    assert summarize(units).arms == ["none", "0.1", "0.5"]


def test_shared_people_are_those_of_every_arm() -> None:
    units = [
        result(1, "none", {ONE: 0.2}),
        result(2, "none", {ONE: 0.4}),
        result(1, "0.1", {ONE: 0.1}, seed=3),
        result(3, "0.1", {ONE: 0.1}),
    ]
    assert [(each.unit.person, each.unit.arm) for each in shared_people(units)] == [(1, "none"), (1, "0.1")]
    assert shared_people([]) == []


def test_a_share_of_all_leaves_the_rule_of_three() -> None:
    summary = summarize([result(person, "none", {ONE: 0.5}) for person in range(6)])
    assert value(summary, "none", ONE, "fsr") == Interval(1.0, 0.5, 1.0)
    assert value(summary, "none", ONE, "rank_1") == Interval(0.0, 0.0, 0.5)
    assert value(summary, "none", ONE).low == pytest.approx(0.5)


def test_several_figures_are_averaged_for_every_person_first() -> None:
    results = [result(person, "none", {ONE: 0.2 * person}) for person in range(4)]
    found = mean_over_figures(results, "none", ONE, [("arcface", "similarity"), ("arcface", "rank_1")])
    alone = mean_over_figures(results, "none", ONE, [("arcface", "similarity")])
    assert found.value == pytest.approx(0.15)
    assert (found.low, found.high) == pytest.approx((alone.low / 2, alone.high / 2))
    assert alone == value(summarize(results), "none", ONE)
    shares = mean_over_figures(results, "none", ONE, [("arcface", "rank_1")] * 2)
    assert (shares.value, shares.low) == (0.0, 0.0)
    assert shares.high == pytest.approx(3 / len({each.unit.person for each in results}))  # rule of three


def test_a_kit_has_a_member_of_a_family() -> None:
    summary = summarize([result(person, "none", {ONE: 0.5}) for person in range(2)])
    assert summary.member("arcface") == "arcface"
    assert summary.member("adaface", "arcface") == "arcface"
    assert summary.member("adaface") == summary.member("arc") == ""
    longer = Summary([replace(row, recognizer="arcface_r100") for row in summary.rows])
    assert longer.member("arcface") == "arcface_r100"

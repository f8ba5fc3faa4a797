import math

import pytest
import torch

from visard.metrics.bootstrap import (
    Estimate,
    SubjectBootstrap,
    difference_interval,
    estimate,
    group_weights,
    percentile_interval,
    rule_of_three,
    weighted_share,
)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_people_are_drawn_before_their_pictures() -> None:
    owner = torch.tensor([0] * 5 + [1] * 5 + [2] * 5)
    bootstrap = SubjectBootstrap(3, 500, generator())
    weights = bootstrap.weights(owner)
    per_person = torch.stack([weights[:, owner == person].sum(1) for person in range(3)], 1)
    drawn = torch.stack([(bootstrap.chosen == person).sum(1) for person in range(3)], 1)
    assert torch.equal(per_person, 5.0 * drawn)  # all pictures of a person come or stay away together
    assert (per_person == 0).any()
    assert weights.max() > 1  # and are drawn with replacement among themselves
    assert bootstrap.units(owner) == 3


def test_people_with_few_pictures_are_asked_for_few() -> None:
    owner = torch.tensor([1, 0, 1, 1, 1])
    bootstrap = SubjectBootstrap(2, 300, generator())
    weights = bootstrap.weights(owner)
    assert torch.equal(weights[:, 1], (bootstrap.chosen == 0).sum(1).double())


def test_intervals_of_people_are_wider_than_those_of_pictures() -> None:
    owner = torch.arange(10).repeat_interleave(50)
    linked = owner < 5  # a person is linked always or never
    people = SubjectBootstrap(10, 400, generator())
    pooled = SubjectBootstrap(1, 400, generator())
    by_people = estimate(0.5, weighted_share(linked, people.weights(owner)), 10, people.unit)
    by_pictures = estimate(
        0.5, weighted_share(linked, pooled.weights(torch.zeros(500).long())), 500, pooled.unit
    )
    assert by_people.high - by_people.low > 4 * (by_pictures.high - by_pictures.low)
    assert (by_people.unit, by_pictures.unit) == ("subjects", "pictures")


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(60):
        source = torch.Generator().manual_seed(seed)
        linked = torch.rand(80, generator=source) < 0.3
        bootstrap = SubjectBootstrap(1, 200, source)
        share = estimate(
            float(linked.double().mean()),
            weighted_share(linked, bootstrap.weights(torch.zeros(80).long())),
            80,
            "",
        )
        covered += share.low <= 0.3 <= share.high
    assert covered >= 52


@pytest.mark.parametrize(("n", "bound"), [(300, 0.01), (30, 0.1), (2, 1.0), (0, 1.0)])
def test_rule_of_three(n: int, bound: float) -> None:
    assert rule_of_three(n) == pytest.approx(bound)
    nothing = estimate(0.0, torch.zeros(10), n, "pictures")
    assert (nothing.low, nothing.high) == (0.0, pytest.approx(bound))
    everything = estimate(1.0, torch.ones(10), n, "pictures")
    assert (everything.low, everything.high) == (pytest.approx(1 - bound), 1.0)


def test_one_case_more_never_narrows_what_none_left_open() -> None:
    owner = torch.arange(5).repeat_interleave(40)
    bootstrap = SubjectBootstrap(5, 400, generator())
    weights = bootstrap.weights(owner)
    bounds = []
    for count in (0, 1, 3, 40):
        linked = torch.zeros(200, dtype=torch.bool)
        linked[:count] = True
        found = estimate(count / 200, weighted_share(linked, weights), 5, bootstrap.unit)
        bounds.append(found.high)
        assert found.low <= found.value <= found.high
    assert bounds[:3] == pytest.approx([0.6] * 3)  # 3 of 5 people
    assert bounds == sorted(bounds)


@pytest.mark.parametrize("people", [3, 5, 20])
def test_intervals_of_few_people_cover_the_truth(people: int) -> None:
    """Means of people who differ, normal: 95 % wanted; plain percentiles of three people cover 75 %."""
    covered = 0
    for seed in range(200):
        draw = torch.Generator().manual_seed(seed)
        values = torch.randn(people, generator=draw, dtype=torch.float64)
        chosen = SubjectBootstrap(people, 400, draw).chosen
        low, high = percentile_interval(values[chosen].mean(1), people)
        covered += low <= 0 <= high
    assert covered >= 180


def test_a_single_unit_has_no_interval() -> None:
    assert math.isnan(percentile_interval(torch.zeros(10), 1)[0])
    lonely = Estimate(0.0, 0.0, 1.0, 1, "pictures")
    assert math.isnan(difference_interval(lonely, lonely, torch.zeros(10))[1])


def test_all_against_nothing_is_as_open_as_either() -> None:
    nobody, everybody = (estimate(value, torch.full((10,), value), 5, "subjects") for value in (0.0, 1.0))
    low, high = difference_interval(nobody, everybody, torch.full((10,), -1.0))
    assert (low, high) == (-1.0, pytest.approx(-1 + 0.6 * 2**0.5))
    few = [estimate(value, torch.full((10,), value), 3, "subjects") for value in (0.0, 1.0)]
    assert difference_interval(*few, torch.full((10,), -1.0))[1] > 0  # of three people nothing follows


def test_hit_once_in_several_is_no_less_certain_than_once_in_one() -> None:
    once = estimate(1.0, torch.ones(10), 60, "pictures")
    often = estimate(1.0, torch.ones(10), 60, "pictures", k=16)
    assert often.low >= once.low
    assert estimate(0.0, torch.zeros(10), 60, "pictures", k=16).high == pytest.approx(1 - 0.95**16)


def test_what_cannot_be_estimated_is_not_a_number() -> None:
    assert math.isnan(estimate(math.nan, torch.tensor([math.nan]), 0, "").high)


def test_group_weights_keep_the_number_of_people() -> None:
    assert (group_weights(7, 20, generator()).sum(1) == 7).all()

import math

import pytest
import torch

from visard.metrics.linkability import d_sys, lowest_places, picture_linkability, repulsion_p_value


def test_hand_worked_value() -> None:
    # Two bins. p = (1/4, 3/4), q = (3/4, 1/4): D = 0 below, (3/4 - 1/4) / (3/4 + 1/4) = 1/2 above; 3/4 * 1/2
    # = 3/8.
    mated = torch.tensor([0.0, 1.0, 1.0, 1.0])
    others = torch.tensor([0.0, 0.0, 0.0, 1.0])
    assert d_sys(mated, others, bins=2) == pytest.approx(0.375)
    # omega = 2: D = (2/4 - 3/4) < 0 below, (6/4 - 1/4) / (6/4 + 1/4) = 5/7 above.
    assert d_sys(mated, others, bins=2, omega=2.0) == pytest.approx(0.75 * 5 / 7)


def test_separated_scores_are_fully_linkable_whichever_lies_above() -> None:
    low, high = torch.linspace(0, 0.2, 100), torch.linspace(0.6, 0.9, 100)
    assert d_sys(high, low) == pytest.approx(1.0)
    assert d_sys(low, high) == pytest.approx(1.0)
    assert d_sys(low, low) == 0.0


def test_identical_distributions_stay_inside_the_null() -> None:
    inside = 0
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        scores, nobody = torch.randn(60, 61, generator=generator), torch.zeros(60, dtype=torch.long)
        found = picture_linkability(scores, nobody, 100, generator)
        assert found.null_mean > 0.02  # small samples give linkability from nothing: why there is a null
        inside += found.d_sys <= found.null_high
    assert inside >= 17


def gallery(offset: float, people: int = 1, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """24 pictures a person before a gallery in which every column has a level of its own."""
    generator = torch.Generator().manual_seed(seed)
    true = torch.arange(people).repeat_interleave(24)
    level = 0.1 * torch.randn(people, 60, generator=generator)
    level[torch.arange(people), torch.arange(people)] += offset
    return level[true] + 0.05 * torch.randn(len(true), 60, generator=generator), true


@pytest.mark.parametrize("people", [1, 5])
def test_stand_in_null_knows_that_columns_hang_together(people: int) -> None:
    generator = torch.Generator().manual_seed(9)
    nothing = [picture_linkability(*gallery(0.0, people, seed), 60, generator).p_value for seed in range(12)]
    assert sum(p <= 0.05 for p in nothing) <= 2
    linked = picture_linkability(*gallery(2.0, people), 60, generator)
    assert linked.d_sys == pytest.approx(1.0)
    assert linked.p_value < 0.05


@pytest.mark.parametrize("people", [1, 5])
def test_repulsion_is_told_from_chance(people: int) -> None:
    generator = torch.Generator().manual_seed(9)
    assert repulsion_p_value(*gallery(-2.0, people), 400, generator) < 0.05
    assert repulsion_p_value(*gallery(2.0, people), 400, generator) > 0.9
    chance = [repulsion_p_value(*gallery(0.0, people, seed), 400, generator) for seed in range(12)]
    assert sum(p <= 0.05 for p in chance) <= 2


def test_a_few_who_are_pushed_away_are_told_from_chance() -> None:
    """Six of twenty always last, the others first: on average they stand above the strangers."""
    pushed, true = gallery(-2.0, 20)
    similarities = torch.where(true[:, None] < 6, pushed, gallery(2.0, 20)[0])
    generator = torch.Generator().manual_seed(9)
    assert repulsion_p_value(similarities, true, 400, generator) > 0.9
    found = lowest_places(similarities, true)
    assert (found.count, found.people) == (6, 20)
    assert found.share == pytest.approx(2 / 41)  # of 40 strangers and the person
    fewer = [math.comb(20, n) * (2 / 41) ** n * (39 / 41) ** (20 - n) for n in range(6)]
    assert found.p_value == pytest.approx(1 - sum(fewer))
    assert found.p_value < 1e-3


def test_nobody_is_counted_as_pushed_away_by_chance_more_often_than_that() -> None:
    chance = [lowest_places(*gallery(0.0, 20, seed)).p_value for seed in range(200)]
    assert sum(p <= 0.05 for p in chance) <= 10
    alone = lowest_places(*gallery(-2.0, 1))
    assert (alone.count, alone.people, alone.p_value) == (1, 1, pytest.approx(3 / 60))
    assert math.isnan(lowest_places(torch.zeros(4, 1), torch.zeros(4, dtype=torch.long)).p_value)

"""The budget of a perturbation: ball, range and units."""

from __future__ import annotations

import pytest
import torch

from personalization.fakes import photos
from visard.budget import Budget
from visard.images import to_image, to_tensor


def test_a_projection_is_inside_the_ball_and_the_range() -> None:
    centre = photos()
    budget = Budget(radius=0.08, step=0.5)
    moved = budget.project(
        centre + torch.randn(centre.shape, generator=torch.Generator().manual_seed(0)), centre
    )
    assert (moved - centre).abs().max() <= 0.08 + 1e-6
    assert moved.abs().max() <= 1
    torch.testing.assert_close(budget.project(moved, centre), moved, rtol=0, atol=0)


def test_radius_zero_is_the_centre_to_the_last_bit() -> None:
    centre = photos()
    assert torch.equal(Budget(0.0, 0.1).descend(centre, torch.ones_like(centre), centre), centre)


def test_a_step_goes_against_the_sign_of_the_gradient() -> None:
    centre = torch.zeros(1, 3, 2, 2)
    gradient = torch.tensor([3.0, -0.001, 0.0, 1.0]).reshape(1, 1, 2, 2).expand(1, 3, 2, 2)
    moved = Budget(radius=1.0, step=0.25).descend(centre, gradient, centre)
    assert moved[0, 0].flatten().tolist() == [-0.25, 0.25, 0.0, -0.25]


def test_units_of_zero_to_one_are_twice_as_long() -> None:
    budget = Budget.of(0.08, 0.008, "[0,1]")
    assert (budget.radius, budget.step) == pytest.approx((0.16, 0.016))
    assert Budget.of(0.08, 0.008, "[-1,1]") == Budget(0.08, 0.008)


def test_an_ascent_is_a_descent_of_the_negative() -> None:
    centre, budget = photos(), Budget(0.08, 0.008)
    gradient = torch.randn(centre.shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(budget.ascend(centre, gradient, centre), budget.descend(centre, -gradient, centre))


def test_random_signs_fill_the_ball_and_favour_no_side() -> None:
    centre, budget = torch.zeros(2, 3, 64, 64), Budget(0.08, 0.0)
    noise = budget.random_signs(centre, torch.Generator().manual_seed(0))
    assert torch.equal(noise.abs(), torch.full_like(noise, 0.08))
    assert abs(noise.sign().mean().item()) < 0.03
    assert torch.equal(noise, budget.random_signs(centre, torch.Generator().manual_seed(0)))
    assert not torch.equal(noise, budget.random_signs(centre, torch.Generator().manual_seed(1)))
    edge = budget.random_signs(torch.ones(1, 3, 8, 8), torch.Generator().manual_seed(0))
    assert edge.max() == 1


@pytest.mark.parametrize("radius", [0.0, 0.05, 0.08, 16 / 255, 0.0999])
def test_eight_bit_pictures_stay_in_the_ball(radius: float) -> None:
    centre = to_tensor(to_image(photos(1)[0]))[None]
    budget = Budget(radius, 0.01)
    moved = budget.random_signs(centre, torch.Generator().manual_seed(0))
    levels = budget.in_levels(moved, centre)
    assert (levels - centre).abs().max() <= radius + 1e-6
    assert (levels - moved).abs().max() < 2 / 255
    torch.testing.assert_close(to_tensor(to_image(levels[0]))[None], levels, rtol=0, atol=1e-6)

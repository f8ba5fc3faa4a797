"""The budget of a perturbation: ball, range and units."""

from __future__ import annotations

import pytest
import torch

from personalization.fakes import photos
from visard.personalization.budget import Budget


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

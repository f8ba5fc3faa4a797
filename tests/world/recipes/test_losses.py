"""The recognisers' losses: what each does to the true class's logit, checked against its formula."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from visard.world.recipes.losses import (
    LOSSES,
    AdaFace,
    ArcFace,
    CosFace,
    MagFace,
    NormalizedSoftmax,
    add_angle,
)

CHANCE = torch.Generator().manual_seed(0)


def batch(count: int = 16, classes: int = 5, dimension: int = 32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return 4 * torch.randn(count, dimension, generator=generator), torch.arange(count) % classes


@pytest.mark.parametrize("name", LOSSES)
def test_without_its_margin_every_loss_is_the_normalised_softmax(name: str) -> None:
    embeddings, labels = batch()
    loss = LOSSES[name](5, 32, scale=16.0)
    logits = 16 * F.normalize(embeddings) @ F.normalize(loss.weight).T
    expected = F.cross_entropy(logits, labels) + loss.regularizer(embeddings.norm(dim=1))
    found, accuracy = loss(embeddings, labels, 0.0, CHANCE)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert float(accuracy) == pytest.approx(float((logits.argmax(1) == labels).float().mean()))


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"normalized_softmax"}))
def test_a_margin_makes_the_task_harder_and_leaves_a_finite_gradient(name: str) -> None:
    embeddings, labels = batch()
    loss = LOSSES[name](5, 32, scale=16.0)
    values = [loss(embeddings, labels, ramp, CHANCE)[0].item() for ramp in (0.0, 0.5, 1.0)]
    assert values == sorted(values)
    assert values[-1] > values[0] + 0.1
    # The ends of the circle, where the slope of the arc cosine is infinite.
    ends = torch.cat([loss.weight[labels[:8]], -loss.weight[labels[8:]]]).detach().requires_grad_()
    loss(ends, labels, 1.0, CHANCE)[0].backward()
    assert ends.grad is not None
    assert bool(ends.grad.isfinite().all())


def test_angles_add_up() -> None:
    cosines = torch.tensor([0.9, 0.0, -0.5])
    expected = torch.cos(torch.acos(cosines) + 0.4)
    torch.testing.assert_close(add_angle(cosines, torch.full((3,), 0.4)), expected)
    assert float(add_angle(torch.tensor([-0.999]), torch.tensor([0.5]))) == pytest.approx(-1, abs=1e-4)


def test_cosface_and_arcface_move_the_true_cosine_by_their_margin() -> None:
    true, lengths = torch.tensor([0.3]), torch.tensor([8.0])
    assert float(CosFace(2, 4).with_margin(true, lengths, 1.0, CHANCE)) == pytest.approx(0.3 - 0.35)
    found = float(ArcFace(2, 4).with_margin(true, lengths, 1.0, CHANCE))
    assert found == pytest.approx(math.cos(math.acos(0.3) + 0.5), abs=1e-6)


def test_adaface_spares_hard_pictures_of_low_quality() -> None:
    """Kim et al. 2022, figure 3: gradient weight moves to hard samples as the norm grows."""
    loss = AdaFace(2, 4)
    loss.mean.fill_(10.0)
    loss.deviation.fill_(1.0)
    hard = torch.full((2,), -0.2)
    with_lengths = loss.with_margin(hard, torch.tensor([4.0, 16.0]), 1.0, CHANCE)
    # quality -1: cos(theta + m); quality +1: cos(theta - m) - 2m
    theta = math.acos(-0.2)
    expected = torch.tensor([math.cos(theta + 0.4), math.cos(theta - 0.4) - 0.8])
    torch.testing.assert_close(with_lengths, expected, atol=1e-3, rtol=1e-3)


def test_magface_asks_more_of_long_embeddings_and_pulls_lengths_up() -> None:
    loss = MagFace(2, 512)
    true = torch.full((3,), 0.3)
    found = loss.with_margin(true, torch.tensor([5.0, 60.0, 200.0]), 1.0, CHANCE)
    margins = torch.acos(found) - math.acos(0.3)
    torch.testing.assert_close(margins, torch.tensor([0.45, 0.625, 0.8]), atol=1e-4, rtol=1e-4)
    length = torch.tensor([30.0], requires_grad=True)
    loss.regularizer(length).backward()
    assert length.grad is not None
    assert float(length.grad) < 0


def test_the_running_statistics_of_adaface_are_kept_with_the_weights() -> None:
    assert {"mean", "deviation", "weight"} <= set(AdaFace(2, 4).state_dict())
    assert set(NormalizedSoftmax(2, 4).state_dict()) == {"weight"}

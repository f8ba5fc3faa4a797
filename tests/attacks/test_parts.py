"""The parts of an attack, each with figures computed by hand or by another implementation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.linalg import orthogonal_procrustes
from sklearn.linear_model import LogisticRegression, Ridge

from support.attacks import DIMENSION, rotation
from visard.attacks.aggregation import groups_of, pooled_scores
from visard.attacks.comparator import logistic_weights, standardised
from visard.attacks.eyes import Sight
from visard.attacks.maps import fit, learn, procrustes, ridge
from visard.attacks.searches import Searches, decidability, share_of_people, thresholds
from visard.metrics.bootstrap import SubjectBootstrap


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_groups_are_disjoint_and_of_one_person() -> None:
    owner = torch.tensor([0, 0, 0, 1, 1, 1, 1, 2])
    groups, whose = groups_of(owner, 2)
    assert groups.tolist() == [[0, 1], [3, 4], [5, 6]]
    assert whose.tolist() == [0, 1, 1]
    assert groups_of(owner, 9)[0].shape == (0, 9)


def test_pooling_by_hand() -> None:
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    sight = Sight(rows, torch.tensor([3.0, 1.0, 0.0]))
    templates = torch.eye(2)
    groups = torch.tensor([[0, 1], [1, 2], [2, 2]])
    half = 0.5**0.5
    mean = torch.tensor([[half, half], [0.0, 1.0], [0.0, 0.0]])
    assert torch.allclose(pooled_scores(sight, groups, templates, "mean"), mean, atol=1e-6)
    quality = torch.tensor([[3.0, 1.0], [0.0, 10.0**0.5], [0.0, 0.0]]) / 10**0.5
    assert torch.allclose(pooled_scores(sight, groups, templates, "quality"), quality, atol=1e-6)
    highest = torch.tensor([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    assert torch.equal(pooled_scores(sight, groups, templates, "max"), highest)


def test_what_sees_nothing_names_nobody() -> None:
    found = Searches(torch.zeros(2, 4), torch.tensor([0, 1]))
    assert bool((found.naming == -torch.inf).all())
    assert torch.equal(standardised(torch.zeros(2, 4)), torch.zeros(2, 4))


def test_an_entry_that_is_not_there_does_not_count_among_the_scores() -> None:
    scores = torch.randn(3, 9, generator=torch.Generator().manual_seed(0))
    whole = (scores - scores.mean(1, keepdim=True)) / scores.std(1, keepdim=True)
    assert torch.allclose(standardised(scores), whole, atol=1e-6)
    more = torch.cat([scores, torch.full((3, 1), 50.0)], 1)
    absent = torch.zeros(3, 10, dtype=torch.bool)
    absent[:, 9] = True
    assert torch.allclose(standardised(more, absent)[:, :9], whole, atol=1e-5)


def test_thresholds_and_shares_by_hand() -> None:
    scores = torch.tensor([[0.9, 0.1, 0.2], [0.3, 0.8, 0.1], [0.2, 0.7, 0.1], [0.1, 0.5, 0.0]])
    found = Searches(scores, torch.tensor([0, 1, 1, 0]))
    assert found.own.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.1])
    assert found.naming.tolist() == pytest.approx([0.9, 0.8, 0.7, -torch.inf])
    others = Searches(torch.tensor([[0.1, 0.75, 0.3], [0.6, 0.2, 0.1]]), torch.tensor([0, 1]))
    generator = torch.Generator().manual_seed(0)
    limits = thresholds(others, fpir=0.5, fmr=0.2, draws=50, generator=generator)
    assert (limits.search, limits.match) == pytest.approx((0.6, 0.6))
    assert bool(torch.isin(limits.search_draws, torch.tensor([0.6, 0.75]).double()).all())
    bootstrap = SubjectBootstrap(2, 50, generator)
    share = share_of_people(found.naming, found.owner, 0.75, torch.full((50,), 0.75), bootstrap)
    assert share.value == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert (share.n, share.unit) == (2, "subjects")


def test_people_count_alike_however_many_pictures_they_have() -> None:
    owner = torch.tensor([0, 1, 1, 1])
    bootstrap = SubjectBootstrap(2, 100, torch.Generator().manual_seed(0))
    share = share_of_people(
        torch.tensor([1.0, 0.0, 0.0, 0.0]), owner, 0.5, torch.full((100,), 0.5), bootstrap
    )
    assert share.value == pytest.approx(0.5)


def test_decidability_of_two_gaussians() -> None:
    generator = torch.Generator().manual_seed(0)
    mated = 3 + 2 * torch.randn(20000, generator=generator)
    others = torch.randn(20000, generator=generator)
    assert decidability(mated, others) == pytest.approx(3 / (2.5**0.5), rel=0.03)


def test_ridge_agrees_with_another_implementation() -> None:
    x, y = unit(60, 16).double(), unit(60, 16, seed=1).double()
    x, y = x - x.mean(0), y - y.mean(0)
    theirs = Ridge(alpha=0.01 * 60, fit_intercept=False).fit(x.numpy(), (y - x).numpy()).coef_.T
    assert np.allclose(ridge(x, y, 0.01).numpy(), np.eye(16) + theirs, atol=1e-8)
    assert torch.allclose(ridge(x, y, 1e9), torch.eye(16, dtype=torch.float64), atol=1e-6)


def test_procrustes_agrees_with_another_implementation() -> None:
    x, y = unit(60, 16).double(), unit(60, 16, seed=1).double()
    theirs, _ = orthogonal_procrustes(x.numpy(), y.numpy())
    assert np.allclose(procrustes(x, y, 0.0).numpy(), theirs, atol=1e-8)
    few = procrustes(x[:2], y[:2], 1e-3)
    assert torch.allclose(few @ few.T, torch.eye(16, dtype=torch.float64), atol=1e-8)


def test_a_rotation_is_learned_from_other_people() -> None:
    real = unit(50, DIMENSION)
    owner = torch.arange(40).repeat_interleave(3)
    generated = real[owner] @ rotation()
    found = learn(generated, owner, real[:40], 5, torch.Generator().manual_seed(0))
    assert found is not None
    new = real[40:]
    assert (found.probe(new @ rotation()) * found.template(new)).sum(1).min() > 0.95
    assert torch.equal(found.probe(torch.zeros(1, DIMENSION)), torch.zeros(1, DIMENSION))


def test_a_map_needs_three_people() -> None:
    generated, owner = unit(4, 16), torch.tensor([0, 0, 1, 1])
    assert learn(generated, owner, unit(2, 16), 5, torch.Generator().manual_seed(0)) is None
    assert fit("centred", 0.0, generated, generated).name == "centred"


def test_the_comparator_agrees_with_another_implementation() -> None:
    generator = torch.Generator().manual_seed(0)
    mated = torch.arange(4000) < 400
    scores = torch.randn(4000, 3, generator=generator) + mated[:, None] * torch.tensor([2.0, 1.0, 0.0])
    weights = logistic_weights(scores, mated, penalty=1e-2)
    theirs = LogisticRegression(
        C=1 / (1e-2 * 4000), class_weight="balanced", solver="newton-cholesky", tol=1e-8
    )
    theirs.fit(scores.double().numpy(), mated.numpy())
    assert np.allclose(weights.numpy(), theirs.coef_[0], atol=1e-3)
    assert weights[0] > weights[1] > weights[2].abs()

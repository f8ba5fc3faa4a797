import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from sklearn.metrics import roc_auc_score, roc_curve

from visard.metrics.bootstrap import group_weights
from visard.metrics.verification import (
    auc,
    det_curve,
    equal_error_rate,
    match_rate,
    resampled_thresholds,
    resolvable,
    threshold_at,
)


def scores(
    shift: float, mated: int = 200, others: int = 2000, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(mated, generator=generator).double() + shift,
        torch.randn(others, generator=generator).double(),
    )


@pytest.mark.parametrize("shift", [-1.0, 0.0, 1.5])
def test_auc_and_det_agree_with_scikit_learn(shift: float) -> None:
    mated, others = scores(shift)
    mated, others = (mated * 8).round() / 8, (others * 8).round() / 8  # ties as well
    labels = torch.cat([torch.ones(len(mated)), torch.zeros(len(others))])
    pooled = torch.cat([mated, others])
    assert auc(mated, others) == pytest.approx(roc_auc_score(labels, pooled))
    curve = det_curve(mated, others)
    fpr, tpr, _ = roc_curve(labels, pooled, drop_intermediate=False)
    torch.testing.assert_close(curve.fmr, torch.from_numpy(fpr))
    torch.testing.assert_close(1 - curve.fnmr, torch.from_numpy(tpr))


@pytest.mark.parametrize("lost", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("shift", [-1.0, 0.0, 0.7, 2.5])
@pytest.mark.parametrize("steps", [2, 8, 1000])
def test_equal_error_rate_agrees_with_scikit_learn_and_scipy(shift: float, steps: int, lost: float) -> None:
    """Scores in steps of 1/2, 1/8 and hardly any, a share of the mated ones lost faces at -inf."""
    mated, others = ((each * steps).round() / steps for each in scores(shift, 60, 500, seed=steps))
    mated[: int(lost * 60)] = -torch.inf
    labels = torch.cat([torch.ones(len(mated)), torch.zeros(len(others))])
    pooled = torch.cat([mated, others]).clamp(min=-1e3)  # scikit-learn takes no infinite scores
    fpr, tpr, _ = roc_curve(labels, pooled, drop_intermediate=False)
    theirs = brentq(lambda rate: 1 - rate - np.interp(rate, fpr, tpr), 0.0, 1.0)
    assert equal_error_rate(mated, others) == pytest.approx(theirs, abs=1e-9)


def test_error_rates_of_known_sets() -> None:
    apart = torch.tensor([0.8, 0.9]), torch.tensor([0.1, 0.2])
    assert equal_error_rate(*apart) == 0.0
    assert auc(*apart) == 1.0
    assert equal_error_rate(*reversed(apart)) == 1.0
    mated, others = scores(2.0, 20_000, 20_000)
    assert equal_error_rate(mated, others) == pytest.approx(0.1587, abs=0.006)  # Phi(-1)


def test_threshold_lets_no_more_through_than_asked_for() -> None:
    others = torch.arange(1000) / 1000
    for rate in (0.1, 0.01, 0.001, 0.0001):
        passed = match_rate(others, threshold_at(others, rate))
        assert passed <= rate
        assert passed == pytest.approx(rate, abs=1e-3)
    assert not resolvable(1000, 1e-4)
    assert threshold_at(torch.empty(0), 0.1) == float("inf")


def test_strangers_match_at_the_nominal_rate() -> None:
    mated, others = scores(0.0, 50_000, 50_000, seed=4)
    assert match_rate(mated, threshold_at(others, 1e-2)) == pytest.approx(1e-2, rel=0.15)


def test_resampled_thresholds_keep_own_templates_out_and_scatter_around_the_estimate() -> None:
    generator = torch.Generator().manual_seed(1)
    owner = torch.arange(40).repeat_interleave(3)
    matrix = torch.randn(120, 40, generator=generator)
    matrix[torch.arange(120), owner] = 50.0  # a photo against its own template
    non_mated = matrix[owner[:, None] != torch.arange(40)]
    draws = resampled_thresholds(matrix, owner, group_weights(40, 300, generator), (1e-2, 1e-3))
    assert draws.shape == (300, 2)
    assert draws.max() < 50
    assert float(draws[:, 0].median()) == pytest.approx(threshold_at(non_mated, 1e-2), abs=0.15)
    assert (draws[:, 1] >= draws[:, 0]).all()
    once = resampled_thresholds(matrix, owner, torch.ones(1, 40), (1e-2,))
    assert float(once[0, 0]) == pytest.approx(threshold_at(non_mated, 1e-2))


def test_thinned_curve_keeps_its_ends() -> None:
    curve = det_curve(*scores(1.0))
    thin = curve.thinned(60)
    assert thin.fmr.numel() <= 61
    assert thin.fmr[-1] == 1.0
    assert (thin.fmr.diff() >= 0).all()

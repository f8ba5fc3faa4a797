"""A comparator over the scores of several matchers: logistic regression, learned on other people (T4)."""

from __future__ import annotations

import torch
from torch import Tensor

PENALTY = 1e-2
STEPS = 30


def logistic_weights(scores: Tensor, mated: Tensor, penalty: float = PENALTY) -> Tensor:
    """Weights (M,) of scores (N, M) for telling mated pairs (N,) bool from others; the constant is dropped.

    Both kinds weigh the same. Newton's method with an L2 penalty on the weights (Hastie et al. 2009, 4.4).
    """
    x = torch.cat([scores.double(), torch.ones(len(scores), 1, dtype=torch.float64)], 1)
    y = mated.double()
    importance = torch.where(mated, 0.5 / y.sum().clamp_min(1), 0.5 / (1 - y).sum().clamp_min(1))
    ridge = penalty * torch.eye(x.shape[1], dtype=torch.float64)
    ridge[-1, -1] = 1e-9
    weights = torch.zeros(x.shape[1], dtype=torch.float64)
    for _ in range(STEPS):
        chance = torch.sigmoid(x @ weights)
        slope = x.T @ (importance * (chance - y)) + ridge @ weights
        curvature = (x * (importance * chance * (1 - chance))[:, None]).T @ x + ridge
        step = torch.linalg.solve(curvature, slope)
        weights = weights - step
        if float(step.abs().max()) < 1e-9:
            break
    return weights[:-1].float()


def standardised(scores: Tensor, absent: Tensor | None = None) -> Tensor:
    """Each search's scores (Q, G) in standard deviations from their mean (T-norm, Auckenthaler et al. 2000).

    Makes matchers comparable; a search that sees nothing stays 0 everywhere. absent (Q, G): entries that are
    not there, which do not count.
    """
    there = torch.ones_like(scores) if absent is None else (~absent).to(scores.dtype)
    count = there.sum(1, keepdim=True)
    centred = scores - (scores * there).sum(1, keepdim=True) / count
    variance = (centred.square() * there).sum(1, keepdim=True) / (count - 1)
    return centred / variance.sqrt().clamp_min(1e-6)

"""Open-set identification: a search names a person only if the first candidate's score is above a threshold.

TPIR at FPIR as in NIST FRTE, 1:N. The threshold comes from searches with real photos of people who are not
enrolled; to waste nobody, each stranger is searched for with their own entry left out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from visard.metrics.verification import threshold_at


def unenrolled_top_scores(similarities: Tensor, own: Tensor) -> Tensor:
    """Best score of each search by a person who is not there.

    Similarities (M, N), own column (M,) -> (M,).
    """
    columns = torch.arange(similarities.shape[1])
    return similarities.masked_fill(own[:, None] == columns, -torch.inf).max(1).values


def search_threshold(top_scores: Tensor, fpir: float) -> float:
    """Lowest threshold at which no more than `fpir` of the unenrolled searches name anybody."""
    return threshold_at(top_scores, fpir)


def resampled_search_thresholds(top_scores: Tensor, owner: Tensor, weights: Tensor, fpir: float) -> Tensor:
    """The threshold in every bootstrap draw.

    Top_scores (M,), owner (M,), weights of people (draws, N) -> (draws,).
    """
    ordered, where = top_scores.double().sort(descending=True)
    drawn = weights[:, owner[where]]
    passed = torch.cumsum(drawn, 1)
    at = torch.searchsorted(passed, fpir * passed[:, -1:] + 1e-9, right=True).squeeze(1)
    return ordered[at.clamp(max=ordered.numel() - 1)]


def named(similarities: Tensor, threshold: float) -> Tensor:
    """Column each search names, -1 for nobody: (P, N) -> (P,)."""
    best, column = similarities.max(1)
    return torch.where(best > threshold, column, torch.full_like(column, -1))


def tpir(similarities: Tensor, true: Tensor, threshold: float, pictures: int | None = None) -> float:
    """Share of searches that name the true person; `pictures` counts those without a face as misses."""
    total = true.numel() if pictures is None else pictures
    return float((named(similarities, threshold) == true).sum()) / total if total else float("nan")

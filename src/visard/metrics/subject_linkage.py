"""How many people are linked at least once when k of their pictures are out, and how the worst-off fare."""

from __future__ import annotations

import torch
from torch import Tensor


def linked_at_least_once(linked: Tensor, owner: Tensor, k: int) -> Tensor:
    """Chance for each person that k of their pictures, drawn without replacement, hold a linked one.

    linked (P,) bool over ALL pictures (no face: False), owner (P,) index of the person 0..S-1 -> (S,) in [0,
    1]; NaN for a person with fewer than k pictures.
    """
    pictures = torch.bincount(owner)
    hits = torch.zeros(len(pictures), dtype=torch.float64).index_add_(0, owner, linked.double())
    return chance_of_any(hits, pictures, k)


def chance_of_any(hits: Tensor, pictures: Tensor, k: int) -> Tensor:
    """1 - C(n - m, k) / C(n, k): hits m (..., S), means over draws too, among pictures n (S,) -> (..., S).

    NaN where n < k.
    """
    left = torch.ones_like(hits)
    for drawn in range(k):
        left = left * (pictures - hits - drawn).clamp(min=0) / (pictures - drawn).clamp(min=1)
    return (1 - left).masked_fill(pictures < k, torch.nan)


def worst_decile(linked: Tensor, owner: Tensor) -> float:
    """Mean linked share of the tenth of the people who are linked most (at least one person).

    NaN without pictures.
    """
    shares = torch.stack([linked[owner == person].double().mean() for person in torch.unique(owner)])
    worst = max(1, round(shares.numel() / 10))
    return float(shares.topk(worst).values.mean())

"""How many people are linked at least once when k of their pictures are out, and how the worst-off fare."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def linked_at_least_once(linked: Tensor, owner: Tensor, k: int) -> Tensor:
    """Chance for each person that k of their pictures, drawn without replacement, hold a linked one.

    linked (P,) bool over ALL pictures (no face: False), owner (P,) index of the person 0..S-1 -> (S,) in [0,
    1]; NaN for a person with fewer than k pictures. Exact: 1 - C(n - m, k) / C(n, k) with m of n linked.
    """
    people = int(owner.max()) + 1 if owner.numel() else 0
    chance = torch.full((people,), float("nan"), dtype=torch.float64)
    for person in range(people):
        own = linked[owner == person]
        n, m = own.numel(), int(own.sum())
        if n >= k:
            chance[person] = 1.0 - math.comb(n - m, k) / math.comb(n, k)
    return chance


def worst_decile(linked: Tensor, owner: Tensor) -> float:
    """Mean linked share of the tenth of the people who are linked most (at least one person).

    NaN without pictures.
    """
    shares = torch.stack([linked[owner == person].double().mean() for person in torch.unique(owner)])
    worst = max(1, round(shares.numel() / 10))
    return float(shares.topk(worst).values.mean())

"""k pictures of one person looked at together (T3)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from visard.attacks.eyes import Sight

Pooling = Literal["mean", "quality", "max"]
POOLINGS: tuple[Pooling, ...] = ("mean", "quality", "max")


def groups_of(owner: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Pictures of owner (P,) in disjoint groups of k of one person: indices (Q, k) and whose they are (Q,).

    A person's last pictures are left out where k does not divide their number.
    """
    rows = [
        torch.nonzero(owner == person).squeeze(1)[: int((owner == person).sum()) // k * k].view(-1, k)
        for person in torch.unique(owner)
    ]
    groups = torch.cat(rows)
    return groups, owner[groups[:, 0]] if len(groups) else owner[:0]


def pooled_scores(sight: Sight, groups: Tensor, templates: Tensor, pooling: Pooling) -> Tensor:
    """Scores (Q, G) of groups (Q, k) against gallery entries (G, D).

    "mean": cosine of the mean of the unit rows; "quality": of the mean weighted by quality; "max": highest
    cosine of any picture. A group in which nothing is seen scores 0 everywhere.
    """
    rows = sight.rows
    if pooling == "max":
        blind = ~rows.any(1, keepdim=True)
        best = (rows @ templates.T).masked_fill(blind, -torch.inf)[groups].amax(1)
        return best.masked_fill(best.isinf(), 0.0)
    weighted = rows * sight.quality[:, None] if pooling == "quality" else rows
    return F.normalize(weighted[groups].sum(1), dim=1) @ templates.T

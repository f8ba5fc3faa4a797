"""QMagFace (Terhörst et al. 2023): similarities that trust a comparison as far as its worse picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

ALPHA, BETA = 0.077428, 0.125926
"""Fitted by the authors to MagFace's iResNet-100."""


def quality_aware_similarity(
    first: Tensor, second: Tensor, *, alpha: float = ALPHA, beta: float = BETA
) -> Tensor:
    """Scores (N, M) of MagFace's features (N, D) and (M, D), not normalised: their length is the quality.

    s + min(0, beta s - alpha) min(q1, q2) with s the cosine: below alpha / beta, the clearer both pictures
    are, the surer it is that they show two people.
    """
    similarity = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T
    quality = torch.minimum(first.norm(dim=1)[:, None], second.norm(dim=1)[None])
    return similarity + (beta * similarity - alpha).clamp_max(0) * quality

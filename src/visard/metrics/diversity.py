"""Diversity: how much do pictures of one person under one prompt differ from one another?

Mean pairwise distance (LPIPS in Ruiz et al. 2023, DreamBooth, section 4.1). Zero is a model that always draws
the same picture. Which distance it is, is named in every report.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from visard.metrics.picture_similarity import photo_similarity

PAIRS = 200
"""At most so many pairs are compared by a network that takes two pictures: their number grows squared."""


def diversity(features: Tensor) -> float:
    """Mean of 1 - cosine over all pairs, in [0, 2]: (P, D) features; NaN for a single picture."""
    return 1.0 - photo_similarity(features)


def perceptual_diversity(
    pictures: Tensor, distance: Callable[[Tensor, Tensor], Tensor], generator: torch.Generator
) -> float:
    """Mean perceptual distance over pairs of pictures (P, 3, H, W), or over `PAIRS` of them drawn at random.

    distance: (B, 3, H, W), (B, 3, H, W) -> (B,), such as LPIPS. NaN for a single picture.
    """
    first, second = torch.triu_indices(pictures.shape[0], pictures.shape[0], offset=1)
    chosen = torch.randperm(first.numel(), generator=generator)[:PAIRS]
    rows = [
        distance(pictures[first[part]], pictures[second[part]]).double().cpu()
        for part in torch.split(chosen, 16)
        if part.numel()
    ]
    return float(torch.cat(rows).mean()) if rows else float("nan")

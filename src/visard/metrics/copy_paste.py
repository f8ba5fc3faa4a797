"""Copy-paste: are pictures nearer to a training photo than a new photo of the same person would be?

The three-sample test of Meehan, Chaudhuri & Dasgupta ("A non-parametric test to detect data-copying in
generative models", AISTATS 2020), its Mann-Whitney U divided by the number of pairs instead of standardised,
so that it is a probability and does not grow with the number of pictures. Real photos of the same person on
another day are near the training photos too; only what exceeds them is copying.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize

from visard.metrics.verification import auc


def nearest_similarity(pictures: Tensor, training: Tensor) -> Tensor:
    """Cosine to the nearest training photo: features (P, D), (T, D) -> (P,)."""
    similarities: Tensor = normalize(pictures.double(), dim=1) @ normalize(training.double(), dim=1).T
    return similarities.max(1).values


def copy_paste(generated: Tensor, held_out: Tensor) -> float:
    """Chance that a picture is nearer to its nearest training photo than a held-out real photo is to its own.

    `nearest_similarity` of pictures (P,) and of photos no training has seen (R,), ties counting half -> [0,
    1]; .5 = as near as new photos are, 1 = copies; NaN if either is empty.
    """
    return auc(generated, held_out)

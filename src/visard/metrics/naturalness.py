"""Distance of a picture's BRISQUE features from those of real photos.

A quality figure that needs no trained model.

In the manner of NIQE (Mittal, Soundararajan & Bovik 2013), but over whole pictures and against the photos at
hand. It is neither BRISQUE nor NIQE and is never printed as one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from visard.metrics.brisque import brisque_features

NAME = "distance to the photos' BRISQUE features"
_SHRINKAGE = (
    0.1  # share of the diagonal in the covariance: some hundred photos do not determine 36 x 36 numbers
)


def naturalness_distance(pictures: Tensor, pristine: Tensor) -> Tensor:
    """Mahalanobis distance of each picture from the pristine set, divided by sqrt(36).

    About 1 for a photo like them.

    pictures (B, 3, H, W), pristine (M, 3, H, W), M at least 2, both in [-1, 1] and of one size -> (B,)
    float64.
    """
    return feature_distance(brisque_features(pictures), brisque_features(pristine))


def feature_distance(features: Tensor, pristine: Tensor) -> Tensor:
    """The same from features already computed: (B, 36), (M, 36) -> (B,)."""
    mean = pristine.mean(0)
    covariance = torch.cov(pristine.T)
    diagonal = covariance.diagonal().clamp(min=1e-12).diag()
    covariance = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * diagonal
    offset = features - mean
    whitened: Tensor = torch.linalg.solve(covariance, offset.T)
    return (offset * whitened.T).mean(1).clamp(min=0).sqrt()

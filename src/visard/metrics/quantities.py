"""Attributes that are numbers: apparent age, skin tone, presentation.

A picture agrees where its number lies within a stated tolerance of the mean over the person's photos. Over
many people the correlation says whether the pictures follow the person at all, which a tolerance cannot: a
model that always shows the average adult agrees with every average adult.
"""

from __future__ import annotations

import torch
from torch import Tensor

FEWEST_PEOPLE = 3
"""Two people always correlate perfectly."""


def within_tolerance(values: Tensor, photos: Tensor, tolerance: float) -> Tensor:
    """1 where a picture's number is within `tolerance` of the photos' mean, else 0: (P,), (R,) -> (P,)."""
    return ((values.double() - photos.double().mean()).abs() <= tolerance).double()


def tolerance_agreement(values: Tensor, photos: Tensor, tolerance: float) -> float:
    """Share of the pictures within `tolerance`, in [0, 1]: (P,), (R,) in the head's unit; NaN without."""
    return float(within_tolerance(values, photos, tolerance).mean()) if photos.numel() else float("nan")


def self_within_tolerance(photos: Tensor, tolerance: float) -> float:
    """The same for each photo against the mean of the person's other photos; NaN for a single photo."""
    count = photos.numel()
    if count < 2:
        return float("nan")
    others = (photos.double().sum() - photos.double()) / (count - 1)
    return float(((photos.double() - others).abs() <= tolerance).double().mean())


def quantity_correlation(generated: Tensor, photos: Tensor) -> float:
    """Pearson correlation over people of the means on pictures and on photos: (S,), (S,) -> [-1, 1].

    NaN for fewer than three people, or where all people are alike.
    """
    kept = ~(generated.isnan() | photos.isnan())
    x, y = generated[kept].double(), photos[kept].double()
    if x.numel() < FEWEST_PEOPLE:
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    scale = float(x.square().sum().sqrt() * y.square().sum().sqrt())
    return float(torch.dot(x, y)) / scale if scale > 0 else float("nan")

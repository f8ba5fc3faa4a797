"""How much of what sets a person apart from others do pictures show: proportions, colouring, hair?

A describer reads how far a face lies from the average person, quantity by quantity, in standard deviations
over people. Trained by squared error, it says about the average of what it cannot make out, which then counts
for little. Finer than words (`attributes`), and not what face recognisers are trained for: two people may be
described alike, and one person is not described the same in every picture (`self_similarity`, the ceiling).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize


def appearance_similarity(pictures: Tensor, photos: Tensor) -> Tensor:
    """Cosine of each picture's description to the mean of the photos', in [-1, 1]; strangers' are about 0.

    (P, Q) generated and (R, Q) photos, in standard deviations from the average person -> (P,).
    """
    return normalize(pictures.double(), dim=1) @ normalize(photos.double().mean(0), dim=0)


def similarity_to_each(pictures: Tensor, people: Sequence[Tensor]) -> Tensor:
    """The same to each of N people's photos (R, Q) -> (P, N): a search by looks."""
    return torch.stack([appearance_similarity(pictures, each) for each in people], 1)


def by_person(descriptions: Tensor, owner: Tensor) -> list[Tensor]:
    """Descriptions (F, Q) of each person's photos, of whom owner (F,) says which; [] where nothing is."""
    return [descriptions[owner == who] for who in torch.unique(owner)] if descriptions.numel() else []


def self_similarity(photos: Tensor) -> Tensor:
    """The same of each photo to the mean of the person's other photos: (R, Q) -> (R,), () for one photo."""
    count = photos.shape[0]
    if count < 2:
        return torch.empty(0, dtype=torch.float64)
    others = (photos.double().sum(0) - photos.double()) / (count - 1)
    return (normalize(photos.double(), dim=1) * normalize(others, dim=1)).sum(1)

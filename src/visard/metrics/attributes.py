"""Does it still look like the person, to a person?

Agreement of predicted attributes with the person's photos.

An attribute is a distribution over its classes (hair colour), a yes-or-no one over two. The regressor that
predicts them errs: its agreement on the person's own photos (`self_agreement`) is the ceiling to read
everything against.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def picture_agreement(distributions: Tensor, photos: Tensor) -> Tensor:
    """1 - total variation distance of each picture from the person's mean, in [0, 1].

    (P, C) generated and (R, C) photos, rows summing to 1 -> (P,).
    """
    return 1 - (distributions.double() - photos.double().mean(0)).abs().sum(1) / 2


def attribute_agreement(generated: Mapping[str, Tensor], photos: Mapping[str, Tensor]) -> dict[str, float]:
    """The mean of `picture_agreement`, attribute by attribute: name -> (P, C) and (R, C)."""
    return {
        name: float(picture_agreement(values, photos[name]).mean())
        for name, values in generated.items()
        if name in photos and values.numel() and photos[name].numel()
    }


def self_agreement(photos: Mapping[str, Tensor]) -> dict[str, float]:
    """The same for each photo against the mean of the person's other photos; needs two photos."""
    result = {}
    for name, values in photos.items():
        count = values.shape[0]
        if count > 1:
            others = (values.double().sum(0) - values.double()) / (count - 1)
            result[name] = float(1 - (values.double() - others).abs().sum(1).mean() / 2)
    return result


def mean_agreement(agreement: Mapping[str, float]) -> float:
    """Mean over the attributes; NaN without any."""
    values = torch.tensor(list(agreement.values()), dtype=torch.float64)
    return float(values.mean()) if agreement else float("nan")

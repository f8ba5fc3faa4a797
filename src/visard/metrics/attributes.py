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


def attribute_agreement(generated: Mapping[str, Tensor], photos: Mapping[str, Tensor]) -> dict[str, float]:
    """1 - mean total variation distance from the person's mean, in [0, 1], attribute by attribute.

    Values: name -> (P, C) generated and (R, C) photos, rows summing to 1.
    """
    return {
        name: _agreement(values, photos[name].double().mean(0))
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
            result[name] = _agreement(values, others)
    return result


def mean_agreement(agreement: Mapping[str, float]) -> float:
    """Mean over the attributes; NaN without any."""
    values = torch.tensor(list(agreement.values()), dtype=torch.float64)
    return float(values.mean()) if agreement else float("nan")


def _agreement(distributions: Tensor, expected: Tensor) -> float:
    return float(1 - (distributions.double() - expected).abs().sum(1).mean() / 2)

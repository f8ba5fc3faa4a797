"""Does it still look like the person, to a person?

Agreement of predicted attributes with those of the person's photos.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def attribute_agreement(generated: Mapping[str, Tensor], photos: Mapping[str, Tensor]) -> dict[str, float]:
    """1 - mean absolute difference from the person's mean, for each attribute both sides know, in [0, 1].

    Values: name -> (P,) generated and (R,) photos, probabilities or magnitudes scaled to [0, 1]. The
    regressor that predicts them errs; its agreement on the person's own photos (`self_agreement`) is the
    ceiling to read this against.
    """
    return {
        name: float(1 - (values.double() - photos[name].double().mean()).abs().clamp(max=1).mean())
        for name, values in generated.items()
        if name in photos and values.numel() and photos[name].numel()
    }


def self_agreement(photos: Mapping[str, Tensor]) -> dict[str, float]:
    """The same for each photo against the mean of the person's other photos; needs two photos."""
    result = {}
    for name, values in photos.items():
        count = values.numel()
        if count > 1:
            numbers = values.double()
            others = (numbers.sum() - numbers) / (count - 1)
            result[name] = float(1 - (numbers - others).abs().clamp(max=1).mean())
    return result


def mean_agreement(agreement: Mapping[str, float]) -> float:
    """Mean over the attributes; NaN without any."""
    return (
        float(torch.tensor(list(agreement.values()), dtype=torch.float64).mean())
        if agreement
        else float("nan")
    )

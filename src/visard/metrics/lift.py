"""What personalisation adds to words: resemblance beyond that of pictures made from the attributes alone.

Pictures of anybody with brown hair and glasses agree with a person who has them. Only what an arm has over
the base model prompted with those very attributes is owed to the person.
"""

from __future__ import annotations

from torch import Tensor


def attribute_lift(agreement: Tensor, control: Tensor) -> float:
    """Mean agreement of an arm minus that of the attributes-only arm: (P,), (Q,); NaN if empty.

    Both hold the agreement over the attributes of each picture, in [0, 1], or its appearance, in [-1, 1].
    """
    return float(agreement.double().mean() - control.double().mean())

"""Confidence of a figure of all pictures at once, such as FID: what it is without each person in turn.

A bootstrap repeats people, and to FID or D_sys two copies of a picture are not two pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from scipy.special import stdtrit

FEWEST = 3
"""People without whom there is nothing to compare."""


def jackknife_interval(
    statistic: Callable[[Sequence[int]], float], people: Sequence[int], level: float = 0.95
) -> tuple[float, float]:
    """Bounds of statistic(people): Student's t with the jackknife's variance (Efron & Stein 1981).

    (NaN, NaN) for fewer than three people or where the statistic does not exist without one of them.
    """
    count = len(people)
    if count < FEWEST:
        return math.nan, math.nan
    whole = statistic(people)
    without = [statistic([each for each in people if each != left_out]) for left_out in people]
    mean = sum(without) / count
    error = math.sqrt((count - 1) / count * sum((each - mean) ** 2 for each in without))
    reach = float(stdtrit(count - 1, 0.5 + level / 2)) * error
    return whole - reach, whole + reach

"""Confidence by resampling people first and their pictures second (ISO/IEC 19795-1, "subset bootstrap").

Pictures of one person resemble one another, so resampling pictures alone would promise far too much. With a
single person there is nothing to resample but pictures: the interval then speaks of that person only, and its
`unit` says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy.special import ndtr, stdtrit
from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """A share with its confidence interval; `n` counts the units that were resampled."""

    value: float
    low: float
    high: float
    n: int
    unit: str


class SubjectBootstrap:
    """Draws of people with replacement, shared by all arms so that these are compared on the same people."""

    def __init__(self, subjects: int, draws: int, generator: torch.Generator) -> None:
        self.subjects = subjects
        self.draws = draws
        self.generator = generator
        if subjects > 1:
            self.chosen = torch.randint(subjects, (draws, subjects), generator=generator)
        else:
            self.chosen = torch.zeros(draws, 1, dtype=torch.long)

    @property
    def unit(self) -> str:
        return "subjects" if self.subjects > 1 else "pictures"

    def weights(self, owner: Tensor) -> Tensor:
        """How often each picture was drawn: (P,) index of its person -> (draws, P) counts."""
        counts = torch.bincount(owner, minlength=self.subjects)
        order = torch.argsort(owner, stable=True)
        first = torch.cumsum(counts, 0) - counts
        most = int(counts.max()) if owner.numel() else 0
        drawn = torch.zeros(self.draws, owner.numel(), dtype=torch.float64)
        slots = torch.arange(most)
        for people in self.chosen.T:  # one column = one drawn person in every draw
            available = counts[people, None]
            pick = (torch.rand(self.draws, most, generator=self.generator) * available).long()
            wanted = slots < available  # a person with fewer pictures is asked for fewer
            where = order[(first[people, None] + pick).clamp(max=max(owner.numel() - 1, 0))]
            drawn.scatter_add_(1, where, wanted.to(drawn.dtype))
        return drawn

    def units(self, owner: Tensor) -> int:
        """Number of independent units behind a figure: people, or pictures if there is one person."""
        return int(torch.unique(owner).numel()) if self.subjects > 1 else owner.numel()


def group_weights(groups: int, draws: int, generator: torch.Generator) -> Tensor:
    """How often each of `groups` people was drawn: (draws, groups) counts, each row summing to `groups`."""
    chosen = torch.randint(groups, (draws, groups), generator=generator)
    return torch.zeros(draws, groups, dtype=torch.float64).scatter_add_(
        1, chosen, torch.ones(draws, groups, dtype=torch.float64)
    )


def weighted_share(hits: Tensor, weights: Tensor) -> Tensor:
    """Share of hits in each draw: (P,) or (draws, P), (draws, P) -> (draws,); NaN where a draw is empty."""
    return (weights * hits.to(weights.dtype)).sum(1) / weights.sum(1)


def rule_of_three(n: int) -> float:
    """Upper 95 % bound of a rate of which zero events were seen in n independent trials (ISO/IEC 19795-1)."""
    return min(1.0, 3.0 / n) if n else 1.0


def estimate(value: float, replicas: Tensor, n: int, unit: str, k: int = 1) -> Estimate:
    """A share of cases in [0, 1] with its 95 % interval, over n units; NaN stays NaN.

    No bound is nearer than what none, or all, of n units would leave open (rule of three): a bootstrap cannot
    leave 0 or 1 once every unit agrees, and is all but certain when one differs. k: the share is of those hit
    at least once in k of the n.
    """
    if math.isnan(value):
        return Estimate(value, value, value, n, unit)
    low, high = percentile_interval(replicas, n)
    open_high = 1 - (1 - rule_of_three(n)) ** k
    open_low = 1 - rule_of_three(n) ** k
    # In this order, as min and max pass over a NaN that stands second.
    return Estimate(
        value, max(0.0, min(value, open_low, low)), min(1.0, max(value, open_high, high)), n, unit
    )


def difference_interval(
    first: Estimate, second: Estimate, replicas: Tensor, level: float = 0.95
) -> tuple[float, float]:
    """Interval of first - second, paired by `replicas` of the difference; (NaN, NaN) for a single unit.

    Where all or nothing was seen it is at least as far as the rule of three leaves either share open, put
    together as by Newcombe (Statistics in Medicine 17, 1998, method 10).
    """
    n = min(first.n, second.n)
    low, high = percentile_interval(replicas, n, level)
    if math.isnan(low):
        return low, high
    value = first.value - second.value
    least = value - math.hypot(_to_fall(first), _to_rise(second))
    most = value + math.hypot(_to_rise(first), _to_fall(second))
    return max(-1.0, min(low, least)), min(1.0, max(high, most))


def _to_rise(share: Estimate) -> float:
    """How far the rule of three leaves a share open above."""
    return max(0.0, rule_of_three(share.n) - share.value)


def _to_fall(share: Estimate) -> float:
    return max(0.0, share.value - (1.0 - rule_of_three(share.n)))


def percentile_interval(replicas: Tensor, n: int, level: float = 0.95) -> tuple[float, float]:
    """Middle part of the replicas over n units, draws that were empty (NaN) left out.

    Widened to Student's t, as a few units promise too much (expanded percentiles: Hesterberg, The American
    Statistician 69, 2015), and no nearer than t times the spread of the replicas, which end where the most
    different unit lies. (NaN, NaN) for fewer than two units or where every draw was empty.
    """
    kept = replicas[~replicas.isnan()].double()
    if n < 2 or not kept.numel():
        return math.nan, math.nan
    reach = math.sqrt(n / (n - 1)) * float(stdtrit(n - 1, 0.5 + level / 2))
    tail = float(ndtr(-reach))
    low, high = torch.quantile(kept, torch.tensor([tail, 1.0 - tail], dtype=torch.float64)).tolist()
    centre, spread = float(kept.mean()), float(kept.std(correction=0))
    return min(low, centre - reach * spread), max(high, centre + reach * spread)

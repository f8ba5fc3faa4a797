"""Confidence by resampling people first and their pictures second (ISO/IEC 19795-1, "subset bootstrap").

Pictures of one person resemble one another, so resampling pictures alone would promise far too much. With a
single person there is nothing to resample but pictures: the interval then speaks of that person only, and its
`unit` says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
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


def estimate(value: float, replicas: Tensor, n: int, unit: str, level: float = 0.95) -> Estimate:
    """A share in [0, 1] with its percentile interval; all or nothing widens by the rule of three.

    NaN stays NaN. A bootstrap cannot leave 0 or 1 once every unit agrees, which would read as certainty.
    """
    if math.isnan(value):
        return Estimate(value, value, value, n, unit)
    low, high = percentile_interval(replicas, level)
    if value <= 0.0:
        low, high = 0.0, max(rule_of_three(n), high)
    if value >= 1.0:
        low, high = min(1.0 - rule_of_three(n), low), 1.0
    return Estimate(value, min(low, value), max(high, value), n, unit)


def percentile_interval(replicas: Tensor, level: float = 0.95) -> tuple[float, float]:
    """Middle `level` of the replicas, draws that were empty (NaN) left out; (NaN, NaN) if all were."""
    kept = replicas[~replicas.isnan()].double()
    if not kept.numel():
        return float("nan"), float("nan")
    tail = (1.0 - level) / 2.0
    low, high = torch.quantile(kept, torch.tensor([tail, 1.0 - tail], dtype=torch.float64)).tolist()
    return float(low), float(high)

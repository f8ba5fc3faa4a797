"""A figure of many people: its mean, its changes, and their intervals, by resampling people and strangers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from visard.metrics.bootstrap import difference_interval, estimate, percentile_interval

Place = tuple[int, int, str]
"""Person, seed, prompt: what two arms are compared at."""


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval; NaN bounds where there is one person."""

    value: float
    low: float
    high: float

    def apart(self, other: Interval) -> bool | None:
        """Whether the two intervals do not touch; None where one of them is not known."""
        if math.isnan(self.low + other.low):
            return None
        return self.high < other.low or other.high < self.low

    @property
    def leaves_out_zero(self) -> bool:
        """Whether a difference is more than chance may bring."""
        return self.low > 0 or self.high < 0

    def signed(self, digits: int) -> str:
        """As a difference is written: "+0.12 [+0.05, +0.19]", without bounds where there are none."""
        value, low, high = (f"{each:+.{digits}f}" for each in (self.value, self.low, self.high))
        return value if math.isnan(self.low) else f"{value} [{low}, {high}]"


@dataclass(frozen=True)
class PerPerson:
    """One figure person by person: values (people, 1 + draws), NaN for whom there is none.

    The value first, then what it is in each draw of the strangers; no draws where no threshold is behind it.
    """

    values: Tensor
    share: bool
    """Whether it counts cases, so that all or none of them leaves the rule of three."""

    @classmethod
    def gather(cls, found: Mapping[Place, Tensor], people: Sequence[int], *, share: bool) -> PerPerson:
        """Means over seeds and prompts of what is there."""
        mine: dict[int, list[Tensor]] = {person: [] for person in people}
        for (person, _, _), value in found.items():
            if not value[0].isnan():
                mine[person].append(value)
        width = max((len(each) for values in mine.values() for each in values), default=1)
        nothing = torch.full((width,), math.nan, dtype=torch.float64)
        means = [torch.stack(values).mean(0) if values else nothing for values in mine.values()]
        return cls(torch.stack([each.expand(width) for each in means]), share)

    @property
    def mean(self) -> float:
        return float(self.values[:, 0].nanmean())

    @property
    def count(self) -> int:
        """How many people have one."""
        return int((~self.values[:, 0].isnan()).sum())

    def replicas(self, chosen: Tensor) -> Tensor:
        """The mean in each draw of people and of strangers: (draws, people) -> (draws,)."""
        strangers = self.values.shape[1] - 1
        column = 1 + torch.arange(len(chosen)) % strangers if strangers else torch.zeros(len(chosen)).long()
        return self.values[chosen, column[:, None]].nanmean(1)

    def interval(self, chosen: Tensor) -> Interval:
        """The mean with its interval; of a share, the rule of three at least is left where all or none is."""
        replicas = self.replicas(chosen)
        if self.share and self.count > 1:
            wider = estimate(self.mean, replicas, self.count, "subjects")
            return Interval(self.mean, wider.low, wider.high)
        return Interval(self.mean, *percentile_interval(replicas, self.count))

    def minus(self, other: PerPerson, chosen: Tensor) -> Interval:
        """The difference of the means, of the same people in every draw."""
        apart = self.replicas(chosen) - other.replicas(chosen)
        value = self.mean - other.mean
        if self.share:
            mine, theirs = (
                estimate(each.mean, each.replicas(chosen), each.count, "subjects") for each in (self, other)
            )
            return Interval(value, *difference_interval(mine, theirs, apart))
        return Interval(value, *percentile_interval(apart, self.count))

    def relative_to(self, base: PerPerson, chosen: Tensor) -> Interval:
        """The ratio of the means, minus 1; of a share that is the same in every draw, without an interval."""
        replicas = self.replicas(chosen) / base.replicas(chosen) - 1
        bounds = percentile_interval(replicas, self.count)
        if self.share and bounds[0] == bounds[1]:
            bounds = (math.nan, math.nan)
        return Interval(self.mean / base.mean - 1, *bounds)


def in_both(
    mine: Mapping[Place, Tensor], theirs: Mapping[Place, Tensor]
) -> tuple[dict[Place, Tensor], dict[Place, Tensor]]:
    """Both at the places where both have a value."""
    shared = sorted(mine.keys() & theirs.keys())
    both = [place for place in shared if not mine[place][0].isnan() and not theirs[place][0].isnan()]
    return {place: mine[place] for place in both}, {place: theirs[place] for place in both}

"""From scores to links: thresholds set on the attacker's own people, shares over the people under attack."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from visard.metrics.bootstrap import Estimate, SubjectBootstrap, estimate, group_weights, weighted_share
from visard.metrics.verification import threshold_at


@dataclass(frozen=True)
class Searches:
    """Scores (Q, G) of Q probes against a gallery; owner (Q,): the person, whose column it is if enrolled.

    -inf where an entry was taken out of the gallery.
    """

    scores: Tensor
    owner: Tensor

    @property
    def own(self) -> Tensor:
        """(Q,) score against the person's own entry."""
        return self.scores.gather(1, self.owner[:, None]).squeeze(1)

    @property
    def others(self) -> Tensor:
        """(Q, G) with the own entry at -inf."""
        return self.scores.scatter(1, self.owner[:, None], -torch.inf)

    @property
    def naming(self) -> Tensor:
        """(Q,) score with which a search names the person, -inf where another is closer."""
        return self.own.masked_fill(self.others.amax(1) >= self.own, -torch.inf)


@dataclass(frozen=True)
class Thresholds:
    """Where people who are not enrolled are named at a rate, and matched at another; with bootstrap draws."""

    search: float
    search_draws: Tensor
    match: float
    match_draws: Tensor


def finest(rate: float, people: int) -> float:
    """The false-positive rate that is asked for, or the finest one that so many people can show.

    However many searches each of them makes: those of one person err together. Above the highest score of n
    people there is one newcomer in n + 1.
    """
    return max(rate, 1 / (people + 1))


def limits_by_others(tops: Tensor, owner: Tensor, passing: float) -> Tensor:
    """The threshold that each person's searches meet where all others set it: tops, owner (Q,) -> (S,).

    passing: share of the others' searches that pass, rounded up.
    """
    limits = []
    for person in range(int(owner.max()) + 1):
        others = tops[owner != person]
        passed = min(math.ceil(passing * len(others) - 1e-9), len(others) - 1)
        limits.append(others.topk(passed + 1).values[-1] if len(others) else tops.new_tensor(torch.inf))
    return torch.stack(limits)


def passing_share(tops: Tensor, owner: Tensor, rate: float) -> float:
    """The share of these searches to let pass so that no more than `rate` of a newcomer's do.

    tops (Q,): the highest scores of searches by people who are not enrolled, owner (Q,): whose each is. Found
    on everybody in turn as the newcomer among the others; nothing passes where less would not do.
    """
    people, owner = torch.unique(owner, return_inverse=True)
    everyone = 1 / torch.bincount(owner).double()[owner] / len(people)
    passed, most = 0, int(rate * len(tops) + 1e-9)
    while passed < most:  # the more pass, the lower are the limits, and the more newcomers are named
        middle = (passed + most + 1) // 2
        named = tops > limits_by_others(tops, owner, middle / len(tops))[owner]
        if float(everyone[named].sum()) <= rate + 1e-9:
            passed = middle
        else:
            most = middle - 1
    return passed / len(tops)


def thresholds(
    strangers: Searches, *, fpir: float, fmr: float, draws: int, generator: torch.Generator
) -> Thresholds:
    """Thresholds from searches by people who are not enrolled: `strangers.owner` says whose each is."""
    tops, pairs = strangers.scores.amax(1), strangers.scores
    finite = pairs > -torch.inf
    whose = strangers.owner[:, None].expand_as(pairs)
    people, owner = torch.unique(strangers.owner, return_inverse=True)
    weights = group_weights(len(people), draws, generator)
    passing = passing_share(tops, owner, fpir)
    return Thresholds(
        search=threshold_at(tops, passing),
        search_draws=redrawn(tops, owner, weights, passing),
        match=threshold_at(pairs[finite], fmr),
        match_draws=redrawn(pairs[finite], torch.searchsorted(people, whose[finite]), weights, fmr),
    )


def redrawn(scores: Tensor, owner: Tensor, weights: Tensor, rate: float) -> Tensor:
    """The threshold of `rate` in each draw: scores, owner (M,), weights of people (draws, N) -> (draws,)."""
    total = weights @ torch.bincount(owner, minlength=weights.shape[1]).double()
    tail = min(len(scores), max(200, int(10 * rate * len(scores))))  # no draw's threshold lies below
    ordered, where = scores.double().topk(tail)
    passed = torch.cumsum(weights[:, owner[where]], 1)
    at = torch.searchsorted(passed, rate * total[:, None] + 1e-9, right=True).squeeze(1)
    return ordered[at.clamp(max=tail - 1)]


def share_of_people(
    scores: Tensor, owner: Tensor, threshold: float, redraws: Tensor, bootstrap: SubjectBootstrap
) -> Estimate:
    """Mean over people of the share of their probes above the threshold: scores (Q,), owner (Q,)."""
    everyone = 1 / torch.bincount(owner, minlength=bootstrap.subjects).double()[owner]
    weights = bootstrap.weights(owner) * everyone
    return estimate(
        float(weighted_share(scores > threshold, everyone[None])),
        weighted_share(scores > redraws[:, None], weights),
        bootstrap.units(owner),
        bootstrap.unit,
    )


def decidability(mated: Tensor, non_mated: Tensor) -> float:
    """Daugman's d': distance of the means in units of the root mean variance; -inf without scores."""
    if len(mated) < 2 or len(non_mated) < 2:
        return float("-inf")
    spread = ((mated.double().var() + non_mated.double().var()) / 2).sqrt().clamp_min(1e-9)
    return float((mated.double().mean() - non_mated.double().mean()) / spread)

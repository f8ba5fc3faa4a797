"""From scores to links: thresholds set on the attacker's own people, shares over the people under attack."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from visard.metrics.bootstrap import Estimate, SubjectBootstrap, estimate, group_weights, weighted_share
from visard.metrics.identification import newcomers_threshold, redrawn_thresholds
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


def thresholds(
    strangers: Searches, *, fpir: float, fmr: float, draws: int, generator: torch.Generator
) -> Thresholds:
    """Thresholds from searches by people who are not enrolled: `strangers.owner` says whose each is."""
    tops, pairs = strangers.scores.amax(1), strangers.scores
    finite = pairs > -torch.inf
    whose = strangers.owner[:, None].expand_as(pairs)
    people, owner = torch.unique(strangers.owner, return_inverse=True)
    weights = group_weights(len(people), draws, generator)
    search, search_draws = newcomers_threshold(tops, owner, fpir, weights)
    return Thresholds(
        search=search,
        search_draws=search_draws,
        match=threshold_at(pairs[finite], fmr),
        match_draws=redrawn_thresholds(
            pairs[finite], torch.searchsorted(people, whose[finite]), weights, fmr
        ),
    )


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

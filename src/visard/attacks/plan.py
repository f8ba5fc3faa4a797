"""One attack, fully decided: from a person's pictures to a score for everyone in a gallery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from visard.attacks.aggregation import Pooling, groups_of, pooled_scores
from visard.attacks.comparator import standardised
from visard.attacks.evidence import Evidence, Party
from visard.attacks.eyes import Sight
from visard.attacks.inputs import PUBLISHED
from visard.attacks.maps import LinearMap
from visard.attacks.searches import Searches
from visard.attacks.views import AS_IT_IS


@dataclass(frozen=True)
class Plan:
    """Matchers, weights of their standardised scores (none: equal), views that are averaged, k and maps.

    photos: the view through which the gallery is seen.
    """

    matchers: tuple[str, ...]
    weights: tuple[float, ...] = ()
    views: tuple[str, ...] = (AS_IT_IS,)
    source: str = PUBLISHED
    k: int = 1
    pooling: Pooling = "mean"
    maps: Mapping[str, LinearMap] = field(default_factory=dict)
    photos: str = AS_IT_IS

    def __str__(self) -> str:
        names = [
            f"{name} ({self.maps[name].name} map)" if name in self.maps else name for name in self.matchers
        ]
        parts = [" + ".join(names)]
        if self.weights:
            parts.append("weights " + ", ".join(f"{weight:.2g}" for weight in self.weights))
        if self.views != (AS_IT_IS,):
            parts.append(" + ".join(self.views))
        if self.photos != AS_IT_IS:
            parts.append(f"gallery {self.photos}")
        if self.source != PUBLISHED:
            parts.append(f"{self.source} pictures")
        parts.append("1 picture" if self.k == 1 else f"{self.k} pictures, {self.pooling}")
        return "; ".join(parts)


def search(
    plan: Plan, evidence: Evidence, probes: Party, gallery: Party, *, enrolled: bool = True
) -> Searches:
    """Search a gallery with the pictures of a party, which need not be enrolled in it.

    enrolled: False takes out the entry of the person whose pictures they are, and asks whom they name then.
    """
    scores = matcher_scores(plan, evidence, probes, gallery)
    _, owner = groups_of(evidence.owner(probes, plan.source), plan.k)
    absent = torch.zeros(scores.shape[:2], dtype=torch.bool)
    if probes == gallery:
        absent |= evidence.absent(probes, scores.shape[1])[owner]
        if not enrolled:
            absent.scatter_(1, owner[:, None], True)
    if scores.shape[2] == 1 and not plan.weights:
        combined = scores[..., 0]
    else:
        weights = torch.tensor(plan.weights) if plan.weights else torch.ones(scores.shape[2])
        combined = standardised_each(scores, absent) @ weights
    return Searches(combined.masked_fill(absent, -torch.inf), owner)


def matcher_scores(plan: Plan, evidence: Evidence, probes: Party, gallery: Party) -> Tensor:
    """(Q, G, M): every matcher's cosines."""
    groups, _ = groups_of(evidence.owner(probes, plan.source), plan.k)
    columns = []
    for matcher in plan.matchers:
        sight = seen(plan, evidence, probes, matcher)
        templates = evidence.templates(gallery, matcher, plan.photos)
        if matcher in plan.maps:
            mapped = plan.maps[matcher]
            sight, templates = Sight(mapped.probe(sight.rows), sight.quality), mapped.template(templates)
        columns.append(pooled_scores(sight, groups, templates, plan.pooling))
    return torch.stack(columns, 2)


def seen(plan: Plan, evidence: Evidence, party: Party, matcher: str) -> Sight:
    """A matcher's rows of all pictures, averaged over the plan's views."""
    sights = [evidence.sight(party, plan.source, view, matcher) for view in plan.views]
    rows = F.normalize(torch.stack([each.rows for each in sights]).sum(0), dim=1)
    return Sight(rows, torch.stack([each.quality for each in sights]).mean(0))


def standardised_each(scores: Tensor, absent: Tensor | None = None) -> Tensor:
    """(Q, G, M), each matcher's scores of a search standardised."""
    return torch.stack([standardised(each, absent) for each in scores.unbind(2)], 2)

"""A judge on the bench.

Its gallery, its thresholds from strangers' real photos, and how well it knows real faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from visard.audit.inputs import AuditSettings
from visard.metrics.bootstrap import group_weights
from visard.metrics.identification import (
    finest,
    newcomers_threshold,
    unenrolled_top_scores,
)
from visard.metrics.identity_similarity import reference_embedding
from visard.metrics.verification import resampled_thresholds, resolvable, threshold_at

ENOUGH_ENROLLED = 2
"""Other photos of a person that a real photo should be compared with."""


@dataclass(frozen=True)
class HalfGallery:
    """A gallery of the audited people and half of the strangers, searched also by the other half.

    columns (K,) of the whole gallery that are enrolled; thresholds: by false-positive rate of a newcomer's
    searches, the one asked for or the finest that the smaller half can show; draws: the same in every draw.
    """

    columns: Tensor
    thresholds: dict[float, float]
    draws: dict[float, Tensor]


@dataclass(frozen=True)
class Bench:
    """Everything about a judge that does not depend on the generated pictures.

    templates (S + N, D): the S audited people first, then N strangers; non_mated (K,): strangers' photos
    against other strangers; real_own, real_others (R,), (R, S + N): real photos against their own person
    (that photo left out) and against the gallery with the own column at -inf; real_column (R,): the own one.
    `*_draws` are the thresholds of every bootstrap draw. people_doubled, strangers_doubled: of how many of
    them the gallery holds somebody else as like as half of the real photos are like their own person.

    Real photos are of people who keep two others enrolled, if there are any: a photo against a single other
    one says little of pictures that are compared with a whole reference.
    """

    templates: Tensor
    non_mated: Tensor
    search: float
    search_draws: Tensor
    matches: dict[float, float]
    match_draws: dict[float, Tensor]
    real_own: Tensor
    real_others: Tensor
    real_column: Tensor
    halves: tuple[HalfGallery, HalfGallery]
    people_doubled: int
    strangers_doubled: int

    @property
    def real_links(self) -> Tensor:
        """(R,) whether a real photo names its own person in the gallery."""
        best_other = self.real_others.max(1).values
        return (self.real_own > best_other) & (self.real_own > self.search)

    def real_match_rate(self, rate: float) -> float:
        return float((self.real_own > self.matches[rate]).double().mean())


def build(
    people: list[Tensor],
    strangers: Tensor,
    owner: Tensor,
    settings: AuditSettings,
    generator: torch.Generator,
) -> Bench:
    """people.

    The (r, D) embeddings of each person's clean photos; strangers (M, D) and owner (M,) in 0..N-1.
    """
    count = int(owner.max()) + 1
    own_templates = torch.stack([reference_embedding(photos) for photos in people])
    templates = torch.stack([reference_embedding(strangers[owner == who]) for who in range(count)])
    gallery = torch.cat([own_templates, templates])
    scores = strangers @ templates.T
    columns = torch.arange(count)
    to_gallery = strangers @ gallery.T
    tops = unenrolled_top_scores(to_gallery, owner + len(people))
    non_mated = scores[owner[:, None] != columns]
    weights = group_weights(count, settings.draws, generator)
    pairs = count * (count - 1) // 2  # comparisons of the same two people err together
    rates = [rate for rate in settings.false_match_rates if resolvable(pairs, rate)]
    draws = resampled_thresholds(scores, owner, weights, rates)
    everybody = people + [strangers[owner == who] for who in range(count)]
    real_own, real_others, whose = _leave_one_out(everybody, gallery)
    search, search_draws = newcomers_threshold(tops, owner, finest(settings.fpir, count), weights)
    halves = torch.randperm(count, generator=generator).tensor_split(2)
    strangers_doubled, people_doubled = _doubled(gallery, len(people), real_own)
    shown = list(dict.fromkeys(finest(rate, count // 2) for rate in settings.search_rates))
    return Bench(
        templates=gallery,
        non_mated=non_mated,
        search=search,
        search_draws=search_draws,
        matches={rate: threshold_at(non_mated, rate) for rate in rates},
        match_draws={rate: draws[:, column] for column, rate in enumerate(rates)},
        real_own=real_own,
        real_others=real_others,
        real_column=whose,
        halves=(
            _half(len(people), halves[0], to_gallery, owner, weights, shown),
            _half(len(people), halves[1], to_gallery, owner, weights, shown),
        ),
        people_doubled=people_doubled,
        strangers_doubled=strangers_doubled,
    )


def _doubled(gallery: Tensor, people: int, real_own: Tensor) -> tuple[int, int]:
    """Strangers as like another stranger, and audited people as like a stranger, as photos of one person are.

    Templates (S + N, D); real_own (R,): without real photos nobody can be told.
    """
    if not real_own.numel():
        return 0, 0
    alike = (gallery @ gallery.T).fill_diagonal_(-torch.inf)[:, people:] >= real_own.median()
    found = alike.any(1)
    return int(found[people:].sum()), int(found[:people].sum())


def _half(
    people: int,
    enrolled: Tensor,
    scores: Tensor,
    owner: Tensor,
    weights: Tensor,
    rates: Sequence[float],
) -> HalfGallery:
    """scores (M, S + N) of the strangers' photos; enrolled: which of the N strangers the gallery holds."""
    columns = torch.cat([torch.arange(people), people + enrolled.sort().values])
    outside = ~torch.isin(owner, enrolled)
    tops = scores[outside][:, columns].max(1).values
    found = {rate: newcomers_threshold(tops, owner[outside], rate, weights) for rate in rates}
    return HalfGallery(
        columns=columns,
        thresholds={rate: threshold for rate, (threshold, _) in found.items()},
        draws={rate: draws for rate, (_, draws) in found.items()},
    )


def left_out(photos: Tensor) -> Tensor:
    """Each of a person's photos (r, D), r >= 2, against the reference of the others: (r,)."""
    others = [torch.cat([photos[:index], photos[index + 1 :]]) for index in range(len(photos))]
    references = torch.stack([reference_embedding(each) for each in others])
    return (photos * references).sum(1)


def _leave_one_out(everybody: list[Tensor], gallery: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Photos of those who keep `ENOUGH_ENROLLED` others, or where nobody does, of those who keep one.

    Their own scores, those of the others, and whose they are: the person's column.
    """
    most = max(len(photos) for photos in everybody)
    wanted = 1 + min(ENOUGH_ENROLLED, max(1, most - 1))
    found = {column: photos for column, photos in enumerate(everybody) if len(photos) >= wanted}
    if not found:
        return torch.empty(0), torch.empty(0, len(gallery)), torch.empty(0, dtype=torch.long)
    rows = [photos @ gallery.T for photos in found.values()]
    for column, row in zip(found, rows, strict=True):
        row[:, column] = -torch.inf
    whose = torch.repeat_interleave(torch.tensor(list(found)), torch.tensor([len(row) for row in rows]))
    return torch.cat([left_out(photos) for photos in found.values()]), torch.cat(rows), whose

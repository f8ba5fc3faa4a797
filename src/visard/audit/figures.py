"""What one judge says of one arm: every figure of the table, from one matrix of similarities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from visard.audit.accounting import account
from visard.audit.bench import Bench, HalfGallery
from visard.audit.inputs import AuditSettings
from visard.audit.result import (
    Curve,
    Difference,
    Histogram,
    JudgeFigures,
    LinkedIn,
    MatchRate,
    RankRate,
    SearchRate,
)
from visard.metrics.bootstrap import (
    Estimate,
    SubjectBootstrap,
    difference_interval,
    estimate,
    weighted_share,
)
from visard.metrics.identity_similarity import identity_similarity
from visard.metrics.linkability import lowest_places, picture_linkability, repulsion_p_value
from visard.metrics.open_set import search_scores
from visard.metrics.retrieval import median_rank, rank_from_bottom, ranks, retrieval_rate
from visard.metrics.subject_linkage import chance_of_any, linked_at_least_once, worst_decile
from visard.metrics.verification import auc, det_curve, equal_error_rate, match_rate

HISTOGRAM_BINS = 48


@dataclass(frozen=True)
class Scores:
    """One arm before one judge.

    similarities (F, G) of the F pictures with a face to the gallery; has_face (P,); owner (P,) index of the
    person, which is also the person's column in the gallery.
    """

    bench: Bench
    similarities: Tensor
    has_face: Tensor
    owner: Tensor

    @cached_property
    def true(self) -> Tensor:
        return self.owner[self.has_face]

    @cached_property
    def own(self) -> Tensor:
        """(F,) similarity to the person."""
        return self.similarities.gather(1, self.true[:, None]).squeeze(1)

    @cached_property
    def others(self) -> Tensor:
        """(F, G) with the person's own column at -inf."""
        columns = torch.arange(self.similarities.shape[1])
        return self.similarities.masked_fill(self.true[:, None] == columns, -torch.inf)

    @cached_property
    def best_other(self) -> Tensor:
        return self.others.max(1).values

    @cached_property
    def own_or_lost(self) -> Tensor:
        """(P,) the same of all pictures, -inf where no face was seen."""
        return self._spread(self.own)

    @cached_property
    def search_score(self) -> Tensor:
        """(P,) score with which a search would name the person.

        -inf where it names another or sees no face.
        """
        return self._spread(search_scores(self.similarities, self.true))

    @cached_property
    def linked(self) -> Tensor:
        """(P,) whether a search of the gallery names the person."""
        return self.search_score > self.bench.search

    def _spread(self, values: Tensor) -> Tensor:
        everywhere = torch.full((self.has_face.numel(),), -torch.inf)
        everywhere[self.has_face] = values
        return everywhere

    def half_scores(self, half: HalfGallery) -> Tensor:
        """(P,) the same in a gallery of half the strangers; the people stand first in that one too."""
        return self._spread(search_scores(self.similarities[:, half.columns], self.true))

    def linked_draws(self) -> Tensor:
        """(draws, P): linked or not under the threshold of each draw."""
        return self.search_score > self.bench.search_draws[:, None]

    def match_draws(self, rate: float) -> Tensor:
        return self.own_or_lost > self.bench.match_draws[rate][:, None]


def judge_figures(
    name: str,
    scores: Scores,
    bootstrap: SubjectBootstrap,
    weights: Tensor,
    settings: AuditSettings,
    generator: torch.Generator,
    undefended: tuple[Scores, Tensor] | None,
) -> JudgeFigures:
    """All figures of a judge.

    `weights` (draws, P) are the arm's bootstrap weights, `undefended` the arm to compare with.
    """
    bench, own, total = scores.bench, scores.own, scores.has_face.numel()
    units, unit = bootstrap.units(scores.owner), bootstrap.unit
    places = ranks(scores.similarities, scores.true)
    from_bottom = rank_from_bottom(scores.similarities, scores.true)
    rest = scores.others[scores.others > -torch.inf]
    replicas = scores.linked_draws()
    linked_detected = scores.linked[scores.has_face]
    linked = estimate(_share(scores.linked), weighted_share(replicas, weights), units, unit)
    detected = estimate(
        _share(linked_detected),
        weighted_share(replicas, weights * scores.has_face),
        bootstrap.units(scores.true),
        unit,
    )
    det = det_curve(scores.own_or_lost, bench.non_mated).thinned()
    return JudgeFigures(
        judge=name,
        accounting=account(scores.linked, scores.has_face),
        linked=linked,
        linked_detected=detected,
        difference=None if undefended is None else _difference(scores, weights, *undefended, bootstrap),
        similarity=identity_similarity(own, total),
        similarity_to_strangers=float(rest.double().mean()) if rest.numel() else math.nan,
        ranks=[
            RankRate(k, retrieval_rate(places, k, total), retrieval_rate(places, k))
            for k in settings.ranks
            if k < scores.similarities.shape[1]
        ],
        searches=_searches(scores, weights, units, unit),
        median_rank=median_rank(places),
        worst_rank=float(places.max()) if places.numel() else math.nan,
        bottom_rank=median_rank(from_bottom),
        last_place=_share(from_bottom == 1),
        matches=[
            MatchRate(
                rate,
                threshold,
                estimate(
                    match_rate(scores.own_or_lost, threshold),
                    weighted_share(scores.match_draws(rate), weights),
                    units,
                    unit,
                ),
            )
            for rate, threshold in bench.matches.items()
        ],
        eer=equal_error_rate(scores.own_or_lost, bench.non_mated),
        eer_detected=equal_error_rate(own, bench.non_mated),
        auc=auc(own, bench.non_mated),
        auc_same_pictures=auc(own, rest),
        linkability=picture_linkability(scores.similarities, scores.true, settings.null_draws, generator),
        repulsion_p=repulsion_p_value(scores.similarities, scores.true, settings.draws, generator),
        lowest=lowest_places(scores.similarities, scores.true),
        linked_in=[
            LinkedIn(k, share)
            for k in settings.pictures_out
            if (share := _linked_in(scores, k, bootstrap, weights)) is not None
        ],
        worst_decile=worst_decile(scores.linked, scores.owner),
        names_another=_named(scores, scores.others, bootstrap, weights),
        names_fellow=_named(scores, _fellows(scores), bootstrap, weights),
        det=Curve(det.fmr.tolist(), det.fnmr.tolist()),
        histogram=_histogram(own, rest),
        similarities=_per_person(scores),
        linked_pictures=[scores.linked[scores.owner == who].tolist() for who in _people(scores)],
    )


def _searches(scores: Scores, weights: Tensor, units: int, unit: str) -> list[SearchRate]:
    """TPIR with half of the strangers not enrolled; every picture searches both halves, half a count each."""
    pairs = [(half, scores.half_scores(half)) for half in scores.bench.halves]
    rows = []
    for rate in scores.bench.halves[0].thresholds:
        hits = torch.stack([(score > half.thresholds[rate]).double() for half, score in pairs]).mean(0)
        drawn = torch.stack([(score > half.draws[rate][:, None]).double() for half, score in pairs]).mean(0)
        rows.append(SearchRate(rate, estimate(_share(hits), weighted_share(drawn, weights), units, unit)))
    return rows


def _fellows(scores: Scores) -> Tensor:
    """(F, G) the other audited people alone: what exchanged labels would find."""
    people = int(scores.owner.max()) + 1
    fellows = scores.others.clone()
    fellows[:, people:] = -torch.inf
    return fellows


def _named(scores: Scores, others: Tensor, bootstrap: SubjectBootstrap, weights: Tensor) -> Estimate:
    """Share of the faces that a search gives the name of one of `others` (F, G), the rest being at -inf."""
    best = others.max(1).values.masked_fill(
        others.max(1).values < scores.similarities.max(1).values, -torch.inf
    )
    spread = scores._spread(best)
    return estimate(
        _share(best > scores.bench.search),
        weighted_share(spread > scores.bench.search_draws[:, None], weights * scores.has_face),
        bootstrap.units(scores.true),
        bootstrap.unit,
    )


def _share(hits: Tensor) -> float:
    return float(hits.double().mean()) if hits.numel() else math.nan


def _difference(
    scores: Scores, weights: Tensor, other: Scores, other_weights: Tensor, bootstrap: SubjectBootstrap
) -> Difference:
    """Against the undefended arm.

    Both draw the same people, the same strangers and hence the same thresholds.
    """
    shares = []
    for detected in (False, True):
        found, replicas = [], []
        for arm, drawn in ((scores, weights), (other, other_weights)):
            counted = drawn * arm.has_face if detected else drawn
            replicas.append(weighted_share(arm.linked_draws(), counted))
            found.append(
                estimate(
                    _share(arm.linked[arm.has_face] if detected else arm.linked),
                    replicas[-1],
                    bootstrap.units(arm.true if detected else arm.owner),
                    bootstrap.unit,
                )
            )
        interval = difference_interval(found[0], found[1], replicas[0] - replicas[1])
        shares.append((found[0].value - found[1].value, interval))
    (overall, overall_interval), (detected_only, detected_interval) = shares
    return Difference(overall, overall_interval, detected_only, detected_interval)


def _linked_in(scores: Scores, k: int, bootstrap: SubjectBootstrap, weights: Tensor) -> Estimate | None:
    """Share of the people linked at least once in k pictures; of one person, the chance of it."""
    chance = linked_at_least_once(scores.linked, scores.owner, k)
    usable = ~chance.isnan()
    if not bool(usable.any()):
        return None
    several = bootstrap.subjects > 1
    # Pictures drawn with repetition show fewer different ones, which lowers the chance of any: of several
    # people only these are drawn.
    counts = scores.linked_draws().double() if several else weights * scores.linked_draws()
    pictures = torch.bincount(scores.owner)
    hits = counts.new_zeros(len(counts), len(pictures)).index_add_(1, scores.owner, counts)
    drawn = torch.stack([(bootstrap.chosen == who).sum(1) for who in range(len(pictures))], 1).double()
    return estimate(
        float(chance[usable].mean()),
        weighted_share(chance_of_any(hits, pictures, k)[:, usable], drawn[:, usable]),
        int(usable.sum()) if several else scores.owner.numel(),
        bootstrap.unit,
        k=1 if several else k,
    )


def _histogram(mated: Tensor, non_mated: Tensor) -> Histogram:
    if not mated.numel() or not non_mated.numel():
        return Histogram([], [], [])
    low = min(float(mated.min()), float(non_mated.min()))
    high = max(float(mated.max()), float(non_mated.max()), low + 1e-3)
    edges = torch.linspace(low, high, HISTOGRAM_BINS + 1, dtype=torch.float64)
    width = (high - low) / HISTOGRAM_BINS
    mated_density, non_mated_density = (
        torch.histc(scores.double(), HISTOGRAM_BINS, low, high) / (scores.numel() * width)
        for scores in (mated, non_mated)
    )
    return Histogram(edges.tolist(), mated_density.tolist(), non_mated_density.tolist())


def _per_person(scores: Scores) -> list[list[float | None]]:
    spread = scores.own_or_lost
    return [
        [
            float(value) if face else None
            for value, face in zip(spread[mine], scores.has_face[mine], strict=True)
        ]
        for mine in (scores.owner == who for who in _people(scores))
    ]


def _people(scores: Scores) -> range:
    return range(int(scores.owner.max()) + 1)

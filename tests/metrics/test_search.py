"""Ranks, open-set search, similarity, accounting by subject."""

import math

import pytest
import torch

from visard.metrics.bootstrap import group_weights
from visard.metrics.face_success import face_success
from visard.metrics.identification import (
    finest,
    limits_by_others,
    named,
    passing_share,
    redrawn_thresholds,
    tpir,
    unenrolled_top_scores,
)
from visard.metrics.identity_similarity import identity_similarity, reference_embedding
from visard.metrics.retrieval import median_rank, rank_from_bottom, ranks, retrieval_rate
from visard.metrics.subject_linkage import linked_at_least_once, worst_decile
from visard.metrics.verification import threshold_at

ROWS = torch.tensor([[0.9, 0.1, 0.2], [0.3, 0.3, 0.1], [0.1, 0.5, 0.4]])
TRUE = torch.tensor([0, 1, 0])


def test_ranks_from_either_end() -> None:
    assert ranks(ROWS, TRUE).tolist() == [1, 1, 3]  # a tie goes to the searcher
    assert rank_from_bottom(ROWS, TRUE).tolist() == [3, 2, 1]
    assert median_rank(ranks(ROWS, TRUE)) == 1.0
    assert retrieval_rate(ranks(ROWS, TRUE), 1) == pytest.approx(2 / 3)
    assert retrieval_rate(ranks(ROWS, TRUE), 1, pictures=4) == 0.5


def test_search_needs_rank_one_and_a_score() -> None:
    assert named(ROWS, 0.45).tolist() == [0, -1, 1]
    assert tpir(ROWS, TRUE, 0.45, pictures=4) == 0.25


def test_search_by_strangers_names_at_the_nominal_rate() -> None:
    generator = torch.Generator().manual_seed(2)
    owner = torch.arange(200).repeat_interleave(5)
    similarities = torch.randn(1000, 200, generator=generator)
    similarities[torch.arange(1000), owner] += 20
    tops = unenrolled_top_scores(similarities, owner)
    assert tops.max() < 10  # the own entry was left out
    threshold = threshold_at(tops, 0.02)
    fresh = torch.randn(5000, 199, generator=generator)
    assert float((named(fresh, threshold) >= 0).double().mean()) == pytest.approx(0.02, abs=0.01)
    draws = redrawn_thresholds(tops, owner, group_weights(200, 200, generator), 0.02)
    assert draws.quantile(0.1) < threshold < draws.quantile(0.9)
    assert redrawn_thresholds(tops, owner, torch.ones(1, 200), 0.02)[0] == pytest.approx(threshold)


def test_similarity_is_counted_both_ways() -> None:
    seen = identity_similarity(torch.tensor([0.4, 0.6]), 4)
    assert (seen.detected, seen.overall, seen.faces, seen.pictures) == (
        pytest.approx(0.5),
        pytest.approx(0.25),
        2,
        4,
    )
    assert math.isnan(identity_similarity(torch.empty(0), 3).detected)


def test_reference_embedding_weighs_photos_equally() -> None:
    reference = reference_embedding(torch.tensor([[10.0, 0.0], [0.0, 0.1]]))
    torch.testing.assert_close(reference, torch.tensor([0.5, 0.5]).sqrt())


def test_face_success_names_its_detector() -> None:
    found = face_success([["face"], [], ["face", "face"], []], "toy, threshold .5")
    assert (found.rate, found.faces, found.pictures, found.detector) == (0.5, 2, 4, "toy, threshold .5")


def test_linked_at_least_once_is_the_hypergeometric_chance() -> None:
    linked = torch.tensor([True, False, False, False, False, False])
    owner = torch.tensor([0, 0, 0, 0, 1, 1])
    assert linked_at_least_once(linked, owner, 1).tolist() == [0.25, 0.0]
    assert linked_at_least_once(linked, owner, 2)[0] == pytest.approx(0.5)
    assert linked_at_least_once(linked, owner, 4)[0] == 1.0
    assert math.isnan(linked_at_least_once(linked, owner, 4)[1])


def test_worst_decile_looks_at_the_worst_off() -> None:
    owner = torch.arange(20).repeat_interleave(2)
    linked = torch.zeros(40, dtype=torch.bool)
    linked[:3] = True
    assert worst_decile(linked, owner) == pytest.approx(0.75)


def test_what_may_pass_is_found_on_everybody_as_a_newcomer() -> None:
    assert (finest(0.01, 20), finest(0.01, 100), finest(0.01, 300)) == (1 / 21, 0.01, 0.01)
    alone = torch.arange(20)
    assert passing_share(torch.arange(20.0), alone, 0.05) == 0.0  # one of twenty would let two of 21 pass
    assert passing_share(torch.arange(40.0), torch.arange(40), 0.05) == 1 / 40
    torch.manual_seed(0)
    searches = torch.rand(20 * 16)
    owner = torch.arange(20).repeat_interleave(16)
    assert passing_share(searches, owner, 0.05) == pytest.approx(15 / 320)  # as if each were somebody's
    alike = torch.arange(20.0).repeat_interleave(16)
    # sixteen searches that say the same are one
    assert threshold_at(alike, passing_share(alike, owner, 0.05)) == 19
    assert passing_share(torch.arange(8.0), torch.zeros(8, dtype=torch.long), 0.5) == 0.0  # nobody to compare
    limits = limits_by_others(torch.tensor([3.0, 2.0, 1.0]), torch.tensor([0, 1, 2]), 0.0)
    assert limits.tolist() == [2.0, 3.0, 3.0]


@pytest.mark.parametrize("spread", [0.0, 0.5, 1.0])
def test_a_newcomer_is_named_as_often_as_was_allowed(spread: float) -> None:
    """Whether a person's searches err together or not: spread of people beside that of their searches."""
    generator = torch.Generator().manual_seed(0)
    named = []
    for _ in range(300):
        people = spread * torch.randn(20, 1, generator=generator)
        tops = (people + (1 - spread) * torch.randn(20, 8, generator=generator)).flatten()
        owner = torch.arange(20).repeat_interleave(8)
        limit = threshold_at(tops, passing_share(tops, owner, 0.05))
        others = spread * torch.randn(2000, generator=generator)
        others += (1 - spread) * torch.randn(2000, generator=generator)
        named.append(float((others > limit).double().mean()))
    assert 0.03 < sum(named) / len(named) < 0.055


def test_redrawn_thresholds_with_equal_weights_are_the_threshold() -> None:
    scores = torch.rand(3000, generator=torch.Generator().manual_seed(0))
    owner = torch.arange(3000) % 30
    once = redrawn_thresholds(scores, owner, torch.ones(1, 30, dtype=torch.float64), 0.01)
    assert float(once) == pytest.approx(float(scores.topk(31).values[-1]))

from __future__ import annotations

import pytest
import torch

from visard.faces.qmagface import ALPHA, BETA, quality_aware_similarity


def test_the_score_by_hand() -> None:
    first = torch.tensor([[20.0, 0.0], [0.0, 30.0]])
    second = torch.tensor([[25.0, 0.0], [6.0, 8.0]])
    found = quality_aware_similarity(first, second)
    expected = [
        [1.0, 0.6 + min(0, BETA * 0.6 - ALPHA) * 10],
        [0 - ALPHA * 25, 0.8],
    ]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_above_alpha_over_beta_quality_changes_nothing() -> None:
    threshold = ALPHA / BETA
    for similarity, same in ((threshold + 0.01, True), (threshold - 0.01, False)):
        other = torch.tensor([[similarity, (1 - similarity**2) ** 0.5]]) * 20
        score = float(quality_aware_similarity(torch.tensor([[20.0, 0.0]]), other))
        assert (score == pytest.approx(similarity, abs=1e-5)) is same

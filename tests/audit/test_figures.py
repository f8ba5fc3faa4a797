"""Intervals of shares over people, on pictures of which the truth is known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from visard.audit.figures import Scores, _linked_in
from visard.metrics.bootstrap import SubjectBootstrap

DRAWS = 200


def seen(linked: Tensor, owner: Tensor) -> Scores:
    """Scores of pictures that are linked or not: linked, owner (P,)."""
    similarities = torch.zeros(len(owner), int(owner.max()) + 2)
    similarities[torch.arange(len(owner)), owner] = linked.float()
    bench: Any = SimpleNamespace(search=0.5, search_draws=torch.full((DRAWS,), 0.5))
    return Scores(bench, similarities, torch.ones(len(owner), dtype=torch.bool), owner)


@pytest.mark.parametrize("people", [20, 100])
def test_linked_in_all_of_ones_pictures_covers_the_truth(people: int) -> None:
    """Each of sixteen pictures is linked with chance .043, at least one of them with .505."""
    pictures, chance, trials = 16, 0.043, 200
    truth = 1 - (1 - chance) ** pictures
    owner = torch.arange(people).repeat_interleave(pictures)
    generator = torch.Generator().manual_seed(0)
    bootstrap = SubjectBootstrap(people, DRAWS, generator)
    weights = bootstrap.weights(owner)
    missed = {"above": 0, "below": 0}
    for linked in torch.rand(trials, len(owner), generator=generator) < chance:
        found = _linked_in(seen(linked, owner), pictures, bootstrap, weights)
        assert found is not None
        missed["above"] += truth > found.high
        missed["below"] += truth < found.low
    assert missed["above"] <= 0.05 * trials
    assert missed["below"] <= 0.05 * trials


def test_of_one_person_pictures_are_drawn() -> None:
    owner = torch.zeros(40, dtype=torch.long)
    bootstrap = SubjectBootstrap(1, DRAWS, torch.Generator().manual_seed(0))
    found = _linked_in(seen(torch.arange(40) < 4, owner), 4, bootstrap, bootstrap.weights(owner))
    assert found is not None
    assert (found.unit, found.n) == ("pictures", 40)
    assert 0 < found.low < 0.2 < found.value < 0.5 < found.high < 1

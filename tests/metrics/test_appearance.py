"""How alike two descriptions are: worked out by hand, and what must not count."""

import math

import pytest
import torch

from visard.metrics.appearance import (
    appearance_similarity,
    by_person,
    self_similarity,
    similarity_to_each,
)


def test_it_is_the_cosine_to_the_mean_of_the_photos() -> None:
    photos = torch.tensor([[2.0, 0.0], [0.0, 2.0]])  # their mean points between them
    pictures = torch.tensor([[3.0, 3.0], [1.0, 0.0], [-1.0, -1.0], [1.0, -1.0]])
    found = appearance_similarity(pictures, photos).tolist()
    assert found == pytest.approx([1.0, math.sqrt(0.5), -1.0, 0.0])


def test_what_a_describer_cannot_see_counts_for_nothing() -> None:
    photos = torch.tensor([[1.0, 2.0, 0.0]])
    seen, unseen = torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    assert float(appearance_similarity(seen, photos)) == pytest.approx(1.0)
    assert 0 < float(appearance_similarity(unseen, photos)) < 1


def test_strangers_are_described_without_relation() -> None:
    generator = torch.Generator().manual_seed(0)
    people = torch.randn(400, 70, generator=generator)
    similarities = torch.stack([appearance_similarity(people[1:], each[None]) for each in people[:1]])
    assert float(similarities.mean()) == pytest.approx(0, abs=0.02)


def test_the_ceiling_is_each_photo_against_the_others() -> None:
    photos = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert self_similarity(photos).tolist() == pytest.approx([math.sqrt(0.5), math.sqrt(0.5), 0.0])
    assert self_similarity(photos[:1]).numel() == 0


def test_a_search_by_looks_has_a_column_a_person() -> None:
    descriptions = torch.tensor([[2.0, 0.0], [0.0, 3.0], [0.0, 2.0]])
    people = by_person(descriptions, torch.tensor([4, 9, 4]))
    assert [each.tolist() for each in people] == [[[2.0, 0.0], [0.0, 2.0]], [[0.0, 3.0]]]
    found = similarity_to_each(torch.tensor([[0.0, 1.0], [1.0, 1.0]]), people)
    assert found.tolist() == [pytest.approx([math.sqrt(0.5), 1.0]), pytest.approx([1.0, math.sqrt(0.5)])]


def test_without_a_describer_there_is_nobody_to_search_among() -> None:
    assert by_person(torch.empty(0, 0), torch.tensor([0, 1])) == []

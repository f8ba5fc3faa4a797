"""Resemblance, diversity and copying: values worked out by hand, and what each must and must not notice."""

import math

import pytest
import torch

from visard.metrics.attributes import attribute_agreement, picture_agreement
from visard.metrics.caption_agreement import caption_agreement
from visard.metrics.copy_paste import copy_paste, nearest_similarity
from visard.metrics.diversity import PAIRS, diversity, perceptual_diversity
from visard.metrics.lift import attribute_lift
from visard.metrics.picture_similarity import photo_similarity, picture_similarity, without_faces
from visard.metrics.quantities import (
    quantity_correlation,
    self_within_tolerance,
    tolerance_agreement,
    within_tolerance,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_agreement_of_a_picture_is_one_minus_the_distance_of_its_distribution() -> None:
    photos = torch.tensor([[0.6, 0.4], [0.8, 0.2]])  # mean (.7, .3)
    pictures = torch.tensor([[0.7, 0.3], [0.0, 1.0]])
    each = picture_agreement(pictures, photos)
    assert each.tolist() == pytest.approx([1.0, 0.3])
    assert attribute_agreement({"hair": pictures}, {"hair": photos})["hair"] == pytest.approx(0.65)


def test_numbers_agree_within_a_stated_tolerance() -> None:
    photos = torch.tensor([38.0, 42.0])
    ages = torch.tensor([40.0, 50.0, 50.1, 20.0])
    assert within_tolerance(ages, photos, 10).tolist() == [1, 1, 0, 0]
    assert tolerance_agreement(ages, photos, 10) == 0.5
    assert self_within_tolerance(photos, 4) == 1.0
    assert self_within_tolerance(photos, 3.9) == 0.0
    assert math.isnan(self_within_tolerance(photos[:1], 4))
    assert math.isnan(tolerance_agreement(ages, photos[:0], 10))


def test_correlation_tells_following_a_person_from_showing_the_average() -> None:
    photos = torch.tensor([20.0, 40.0, 60.0, 80.0])
    assert quantity_correlation(0.5 * photos + 3, photos) == pytest.approx(1.0)
    assert quantity_correlation(-photos, photos) == pytest.approx(-1.0)
    assert quantity_correlation(torch.tensor([40.0, 60.0, 60.0, 40.0]), photos) == pytest.approx(0.0)
    assert math.isnan(quantity_correlation(torch.full((4,), 45.0), photos))  # everybody of one age
    assert math.isnan(quantity_correlation(photos[:2], photos[:2]))
    unseen = torch.tensor([20.0, 40.0, 60.0, math.nan])  # no face in any picture of one person
    assert quantity_correlation(unseen, photos) == pytest.approx(1.0)


def test_lift_is_what_words_do_not_give() -> None:
    assert attribute_lift(torch.tensor([0.9, 0.7]), torch.tensor([0.6, 0.6, 0.6])) == pytest.approx(0.2)
    assert math.isnan(attribute_lift(torch.empty(0), torch.ones(2)))


def test_picture_similarity_is_the_mean_cosine_of_all_pairs() -> None:
    east, north = [2.0, 0.0], [0.0, 0.5]
    assert picture_similarity(torch.tensor([east, north]), torch.tensor([east])) == pytest.approx(0.5)
    assert photo_similarity(torch.tensor([east, east, north])) == pytest.approx(1 / 3)
    assert math.isnan(photo_similarity(torch.tensor([east])))
    assert math.isnan(picture_similarity(torch.empty(0, 2), torch.tensor([east])))
    assert caption_agreement(torch.tensor([east, north]), torch.tensor([1.0, 1.0])) == pytest.approx(0.5**0.5)


def test_faces_are_painted_over_and_nothing_else() -> None:
    pictures = torch.rand(2, 3, 60, 60, generator=generator()) * 2 - 1
    upright = torch.tensor([[22.0, 25.0], [38.0, 25.0], [30.0, 32.0], [24.0, 39.0], [36.0, 39.0]])
    lying = upright.flip(1)  # the same face turned by a right angle
    masked = without_faces(pictures, torch.stack([upright, lying]))
    changed = (masked != pictures).any(1)
    for index, points in enumerate((upright, lying)):
        for x, y in points.long().tolist():
            assert changed[index, y, x]
        mean = pictures[index, :, ~changed[index]].mean(1)
        torch.testing.assert_close(masked[index, :, 30, 30], mean)
    assert not changed[0, :, :2].any()
    assert not changed[0, 56:].any()
    assert 0.2 < float(changed.double().mean()) < 0.6
    torch.testing.assert_close(changed[1], changed[0].T)


def test_nothing_of_the_face_is_left_where_it_was_not_even_its_colour() -> None:
    landmarks = torch.tensor([[[22.0, 25.0], [38.0, 25.0], [30.0, 32.0], [24.0, 39.0], [36.0, 39.0]]])
    pictures = torch.rand(1, 3, 60, 60, generator=generator()) * 2 - 1
    face = (without_faces(pictures, landmarks) != pictures).any(1, keepdim=True)
    other = torch.where(face, -pictures, pictures)
    assert torch.equal(without_faces(other, landmarks), without_faces(pictures, landmarks))
    close = (landmarks - 30) * 10 + 30  # the face is all there is
    masked = without_faces(pictures, close)
    torch.testing.assert_close(masked, pictures.mean((2, 3), keepdim=True).expand_as(masked))


def test_diversity_is_zero_for_one_picture_drawn_again_and_again() -> None:
    assert diversity(torch.ones(5, 3)) == pytest.approx(0.0, abs=1e-9)
    assert diversity(torch.eye(4)) == pytest.approx(1.0)
    assert math.isnan(diversity(torch.ones(1, 3)))


def test_perceptual_diversity_takes_every_pair_once_or_a_sample() -> None:
    pictures = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 2, 2)
    seen: list[int] = []

    def distance(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        seen.append(len(first))
        return (first - second).abs().mean((1, 2, 3))

    assert perceptual_diversity(pictures, distance, generator()) == pytest.approx(10 / 6)
    assert sum(seen) == 6
    seen.clear()
    perceptual_diversity(torch.zeros(40, 3, 2, 2), distance, generator())
    assert sum(seen) == PAIRS
    assert math.isnan(perceptual_diversity(pictures[:1], distance, generator()))


def test_copies_are_told_from_new_pictures_of_the_same_person() -> None:
    source = generator(1)
    person = torch.randn(16, generator=source)

    def shots(count: int) -> torch.Tensor:
        return person + 0.5 * torch.randn(count, 16, generator=source)

    training, held_out = shots(8), shots(60)
    near = nearest_similarity(held_out, training)
    copies = training.repeat(5, 1) + 0.01 * torch.randn(40, 16, generator=source)
    assert copy_paste(nearest_similarity(copies, training), near) == pytest.approx(1.0)
    assert copy_paste(nearest_similarity(shots(60), training), near) == pytest.approx(0.5, abs=0.12)
    others = torch.randn(40, 16, generator=source)
    assert copy_paste(nearest_similarity(others, training), near) < 0.1
    assert nearest_similarity(training, training).tolist() == pytest.approx([1.0] * 8)

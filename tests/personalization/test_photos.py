"""Which photos can be used, and how they are split."""

from __future__ import annotations

import pytest
import torch

from personalization.fakes import LANDMARKS, SIZE, FakeDetector, face, photos
from visard.errors import InputError
from visard.personalization.photos import Photos, prepare


def check(images=None, script=(), **options) -> Photos:  # type: ignore[no-untyped-def]
    images = photos() if images is None else images
    return prepare(images, FakeDetector(script), resolution=SIZE, prompt="a photo of sks person", **options)


@pytest.mark.parametrize(("count", "reference"), [(4, 2), (5, 2), (7, 3), (8, 4), (9, 4)])
def test_photos_are_halved_and_the_odd_one_is_protected(count: int, reference: int) -> None:
    images = photos(count)
    split = check(images)
    assert torch.equal(torch.cat([split.reference, split.originals]), images)
    assert len(split.reference) == len(split.reference_prompts) == len(split.reference_landmarks) == reference
    assert len(split.originals) == len(split.prompts) == len(split.landmarks) == count - reference


def test_every_bad_photo_is_listed_with_what_to_do() -> None:
    far = face(box=torch.tensor([10.0, 10.0, 13.0, 13.0]))
    other = face(box=torch.tensor([0.0, 0.0, 12.0, 12.0]))
    with pytest.raises(InputError) as error:
        check(script=[[[], [face(), other], [far], [face()]]], names=["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
    text = str(error.value)
    assert "3 of 4 photos" in text
    assert "photo 1 (a.jpg): no face was found" in text
    assert "photo 2 (b.jpg): 2 faces were found; crop" in text
    assert "photo 3 (c.jpg): the face is only 3 of 32 pixels; crop" in text
    assert "photo 4" not in text


def test_small_faces_in_the_background_do_no_harm() -> None:
    bystander = face(box=torch.tensor([0.0, 0.0, 4.0, 4.0]), landmarks=LANDMARKS * 0.1)
    split = check(script=[[[bystander, face()]] * 4])
    assert torch.equal(split.landmarks, LANDMARKS.expand(2, -1, -1))


def test_too_few_photos_are_refused() -> None:
    with pytest.raises(InputError, match="at least 4"):
        check(photos(3))


def test_photos_of_another_size_are_refused() -> None:
    with pytest.raises(InputError, match="center_crop"):
        check(torch.zeros(4, 3, 16, 16))


@pytest.mark.parametrize("value", [1.5, float("nan")])
def test_values_out_of_range_are_refused(value: float) -> None:
    images = photos()
    images[0, 0, 0, 0] = value
    with pytest.raises(InputError, match=r"\[-1, 1\]"):
        check(images)


def test_a_caption_replaces_the_prompt_of_its_photo() -> None:
    split = check(captions=[None, "sks person smiling", "", None])
    assert split.reference_prompts == ["a photo of sks person", "sks person smiling"]
    assert split.prompts == ["a photo of sks person"] * 2


def test_captions_must_match_the_photos() -> None:
    with pytest.raises(ValueError, match="3 captions or names for 4 photos"):
        check(captions=[None] * 3)

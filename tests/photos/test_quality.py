"""Each measure sees what it is for, and says so from the threshold on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from PIL import Image, ImageFilter

from photos.painted import ColourDetector, photo
from visard.images import to_tensor
from visard.photos.quality import LIMITS, Portrait, complaints, measures


def portrait(image: Image.Image, **known: float) -> Portrait:
    picture = to_tensor(photo(("red", 28, 18, 40)))
    (face,) = ColourDetector().detect(picture[None])[0]
    facts = {"enlargement": 1.0, "cut_off": 0.0, "likeness": 0.8, **known}
    return Portrait(to_tensor(image), face, **facts)


GOOD = photo(("red", 28, 18, 40))


def names(shown: Portrait) -> list[str]:
    return [limit.name for limit, _ in complaints(measures(shown))]


def test_a_good_picture_is_not_complained_of() -> None:
    assert names(portrait(GOOD)) == []


@pytest.mark.parametrize(
    ("image", "name"),
    [
        (GOOD.filter(ImageFilter.GaussianBlur(8)), "sharpness"),
        (GOOD.point(lambda value: min(255, value * 3)), "overexposure"),
        (GOOD.point(lambda value: value // 9), "darkness"),
    ],
)
def test_blur_glare_and_darkness(image: Image.Image, name: str) -> None:
    assert name in names(portrait(image))


def test_dark_skin_is_not_darkness_and_little_light_is_not_blur() -> None:
    dark = GOOD.point(lambda value: value * 2 // 5)
    assert names(portrait(dark)) == []


@pytest.mark.parametrize(
    ("known", "name", "refused"),
    [
        ({"enlargement": 1.5}, "enlargement", False),
        ({"enlargement": 3.0}, "enlargement", True),
        ({"cut_off": 0.1}, "cut off", False),
        ({"cut_off": 0.5}, "cut off", True),
        ({"likeness": 0.1}, "likeness", False),
        ({"yaw": -50.0}, "turn", False),
        ({"yaw": 75.0}, "turn", True),
    ],
)
def test_what_is_known_of_a_photo_is_judged(known: dict[str, float], name: str, refused: bool) -> None:
    values = measures(portrait(GOOD, **known))
    ((limit, sentence),) = complaints(values)
    assert (limit.name, limit.verdict(values[name]) == "refuse") == (name, refused)
    assert "{" not in sentence


def test_likeness_to_nobody_is_no_complaint() -> None:
    assert names(portrait(GOOD, likeness=float("nan"))) == []


def test_turn_and_tilt_are_read_from_landmarks() -> None:
    shown = portrait(GOOD)
    landmarks = shown.face.landmarks.clone()
    landmarks[2, 0] += 0.55 * (landmarks[1, 0] - landmarks[0, 0])  # tan 45 degrees, at the nose's depth
    assert measures(replace(shown, face=replace(shown.face, landmarks=landmarks)))["turn"] == pytest.approx(
        45, abs=1
    )
    centre = shown.face.landmarks.mean(0)
    turned = (shown.face.landmarks - centre) @ torch.tensor([[0.0, 1.0], [-1.0, 0.0]]) + centre
    assert measures(replace(shown, face=replace(shown.face, landmarks=turned)))["tilt"] == pytest.approx(
        90, abs=1
    )


def test_every_limit_warns_before_it_refuses() -> None:
    for limit in LIMITS:
        assert "{}" in limit.sentence
        if limit.refuse is not None:
            assert (limit.refuse > limit.warn) == (limit.worse == "above")
            assert limit.verdict(limit.refuse) == "warn"

"""The arm without any training: the base model told in words what the person looks like."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from visard.errors import InputError
from visard.faces.detector import Detector
from visard.faces.regressor import FaceRegressor

AGES = ((13.0, 35.0, 60.0), ("child", "young", "middle-aged", "elderly"))
"""Ages in years at which the word changes, and the words."""
SKINS = ((0.33, 0.66), ("light", "tan", "dark"))
GENDERS = ((-0.35, 0.35), ("woman", "person", "man"))
"""Presentation from -1 feminine to 1 masculine."""
HAIRDOS = {"short": "short", "bob": "bob", "long": "long", "curly": "curly", "bun": "tied", "afro": "afro"}
SEEN = 0.5
"""Share of the photos' evidence above which glasses or a hat are part of the person."""

Reading = Mapping[str, Mapping[str, float]]
"""Head -> output -> probability, or quantity in the head's unit: the mean over a person's photos."""


@torch.no_grad()
def read_attributes(photos: Tensor, detector: Detector, regressors: Iterable[FaceRegressor]) -> Reading:
    """What regressors read from photos (R, 3, H, W) in [-1, 1]. Raises InputError when none shows a face."""
    found = detector.detect(photos)
    faces = [index for index, each in enumerate(found) if each]
    if not faces:
        raise InputError("No photo shows a face to describe.", "Give clear photos of the face.")
    landmarks = torch.stack([found[index][0].landmarks for index in faces])
    reading = {}
    for regressor in regressors:
        for name, values in regressor.predict_faces(photos[faces], landmarks).items():
            mean = values.float().cpu().mean(0).tolist()
            reading[name] = dict(zip(regressor.heads[name].outputs, mean, strict=True))
    return reading


def describe(reading: Reading) -> str:
    """A caption such as "a photo of a tan skin young woman, with short brown hair, with glasses".

    Says what was read and is silent about the rest.
    """
    noun = [
        f"{_word(SKINS, reading, 'skin_tone')} skin" if "skin_tone" in reading else "",
        _word(AGES, reading, "age") if "age" in reading else "",
        _word(GENDERS, reading, "presentation") if "presentation" in reading else "person",
    ]
    whom = " ".join(filter(None, noun))
    parts = [f"a photo of {'an' if whom[0] in 'aeiou' else 'a'} {whom}"]
    style, color = _likeliest(reading, "hair_style"), _likeliest(reading, "hair_color")
    if style == "bald":
        parts.append("bald")
    elif style or color:
        parts.append(" ".join(filter(None, ["with", HAIRDOS.get(style, ""), color, "hair"])))
    beard = _likeliest(reading, "beard")
    if beard and beard != "none":
        parts.append(f"with a {beard}")
    accessories = reading.get("accessories", {})
    if accessories.get("glasses", 0.0) > SEEN:
        parts.append("with glasses")
    if accessories.get("hat", 0.0) > SEEN:
        parts.append("wearing a hat")
    return ", ".join(parts)


def _word(table: tuple[tuple[float, ...], tuple[str, ...]], reading: Reading, name: str) -> str:
    limits, words = table
    return words[bisect(limits, reading[name][name])]


def _likeliest(reading: Reading, name: str) -> str:
    chances = reading.get(name, {})
    return max(chances, key=lambda each: chances[each]) if chances else ""

"""How well a picture shows a face: measures, and what each must be, with a sentence for people."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from visard.faces.alignment import align
from visard.faces.detector import Face

SMALLEST_FACE = 0.12
"""Shorter side of a face, as a share of the picture: below it a recogniser's crop is mostly interpolation."""
STANDARD, ALIGNED = 128, 56
"""Sides in pixels of the picture that is looked at and of its face: one scale for every model's pictures."""
NOSE_DEPTH = 0.55
"""How far the nose stands out before the eyes, by the distance of the eyes: turns its offset into degrees."""


@dataclass(frozen=True)
class Portrait:
    """One cut picture (3, R, R) in [-1, 1], the face in it, and what is known from where it comes.

    enlargement: R by the side of the square in the photo. cut_off: share of the face beyond the photo's edge.
    likeness: mean similarity to the person's other photos, NaN without any. yaw: degrees, by a regressor.
    """

    picture: Tensor
    face: Face
    enlargement: float
    cut_off: float
    likeness: float
    yaw: float | None = None


@dataclass(frozen=True)
class Limit:
    """What a measure must be; `worse` says which side is bad. refuse None: no reason to leave a photo out."""

    name: str
    measure: Callable[[Portrait], float]
    worse: Literal["above", "below"]
    warn: float
    refuse: float | None
    sentence: str
    form: str = "{:.2f}"

    def verdict(self, value: float) -> Literal["fine", "warn", "refuse"]:
        """What a value of the measure means; NaN, which nobody could measure, is fine."""
        if self.refuse is not None and self._beyond(value, self.refuse):
            return "refuse"
        return "warn" if self._beyond(value, self.warn) else "fine"

    def _beyond(self, value: float, bound: float) -> bool:
        return value > bound if self.worse == "above" else value < bound


def face_share(portrait: Portrait) -> float:
    """Shorter side of the face's box by side of the picture."""
    width, height = (portrait.face.box[2:] - portrait.face.box[:2]).tolist()
    return float(min(width, height)) / portrait.picture.shape[-1]


def sharpness(portrait: Portrait) -> float:
    """Deviation of the aligned face's Laplacian by that of its greys: blind to contrast and exposure."""
    grey = _aligned_grey(portrait)
    kernel = grey.new_tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])[None, None]
    laplacian = F.conv2d(grey[None, None], kernel)
    return float(laplacian.std() / grey.std().clamp(min=1e-4))


def overexposure(portrait: Portrait) -> float:
    """Share of the aligned face that is white, where nothing of the face is left."""
    return float((_aligned_grey(portrait) > 0.98).float().mean())


def darkness(portrait: Portrait) -> float:
    """The brightest hundredth of the aligned face, 0 to 1: low in the dark, whatever the skin."""
    return float(_aligned_grey(portrait).flatten().quantile(0.99))


def turn(portrait: Portrait) -> float:
    """Degrees that the head is turned aside: a regressor's, or from the nose's place between the eyes."""
    if portrait.yaw is not None:
        return abs(portrait.yaw)
    left, right, nose = portrait.face.landmarks[:3]
    across = right - left
    offset = float(((nose - (left + right) / 2) * across).sum() / (across * across).sum().clamp(min=1e-6))
    return math.degrees(math.atan(abs(offset) / NOSE_DEPTH))


def tilt(portrait: Portrait) -> float:
    """Degrees that the line of the eyes is off the horizontal."""
    x, y = (portrait.face.landmarks[1] - portrait.face.landmarks[0]).tolist()
    return abs(math.degrees(math.atan2(y, x)))


LIMITS = (
    Limit(
        "enlargement",
        lambda portrait: portrait.enlargement,
        "above",
        1.3,
        2.5,
        "The face is small in the photo: enlarged {} times, the model learns the blur. Use a closer photo.",
        "{:.1f}",
    ),
    Limit(
        "face share",
        face_share,
        "below",
        0.2,
        SMALLEST_FACE,
        "The face takes {} of the picture. Use a closer photo.",
        "{:.0%}",
    ),
    Limit(
        "cut off",
        lambda portrait: portrait.cut_off,
        "above",
        0.03,
        0.2,
        "{} of the face lie beyond the edge of the photo. Use one that shows all of it.",
        "{:.0%}",
    ),
    Limit(
        "sharpness",
        sharpness,
        "below",
        0.2,  # real portraits .32 and more; blurred by 1 % of the picture's side .23, by 1.6 % .10
        0.1,
        "The face is blurred (sharpness {}). Use a sharp photo: hold still, more light.",
        "{:.2f}",
    ),
    Limit(
        "overexposure",
        overexposure,
        "above",
        0.2,
        0.45,
        "{} of the face are burnt out to white. Use a photo without flash or hard sun.",
        "{:.0%}",
    ),
    Limit(
        "darkness",
        darkness,
        "below",
        0.2,
        0.1,
        "The face lies in the dark (its brightest spots reach {} of white). Use a photo with more light.",
        "{:.0%}",
    ),
    Limit(
        "turn",
        turn,
        "above",
        40,
        60,
        "The head is turned {} degrees to the side. Prefer photos from the front.",
        "{:.0f}",
    ),
    Limit(
        "tilt",
        tilt,
        "above",
        40,
        60,
        "The head lies {} degrees on its side. Turn the photo upright.",
        "{:.0f}",
    ),
    Limit(
        "likeness",
        lambda portrait: portrait.likeness,
        "below",
        0.4,
        None,
        "Hardly like the other photos (similarity {}): is the face covered, or is it somebody else?",
    ),
)


def measures(portrait: Portrait) -> dict[str, float]:
    """Every measure of LIMITS, by name."""
    return {limit.name: limit.measure(portrait) for limit in LIMITS}


def complaints(values: Mapping[str, float]) -> list[tuple[Limit, str]]:
    """The limits that measures break, the worst first, each with its sentence."""
    broken = [limit for limit in LIMITS if limit.verdict(values[limit.name]) != "fine"]
    broken.sort(key=lambda limit: limit.verdict(values[limit.name]) != "refuse")
    return [(limit, limit.sentence.format(limit.form.format(values[limit.name]))) for limit in broken]


def _aligned_grey(portrait: Portrait) -> Tensor:
    """The aligned face (ALIGNED, ALIGNED) as luminance in [0, 1], of a picture brought to STANDARD."""
    picture, landmarks = portrait.picture[None], portrait.face.landmarks[None]
    scale = STANDARD / picture.shape[-1]
    picture = F.interpolate(
        picture, size=(STANDARD, STANDARD), mode="bilinear", antialias=True, align_corners=False
    )
    crop = align(picture, (landmarks + 0.5) * scale - 0.5, ALIGNED)[0]
    grey: Tensor = ((crop + 1) / 2 * crop.new_tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)).sum(0)
    return grey

"""A toy world.

A person is a coarse colour pattern, a photo is that pattern with noise, a judge looks at the pattern.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visard.audit import Instruments, Strangers

SIDE, CELLS = 48, 4
FIELDS = 3 * CELLS * CELLS


@dataclass(frozen=True)
class ToyFace:
    landmarks: Tensor


class ToyDetector:
    name = "toy"
    setting = "brighter than black"

    def detect(self, images: Tensor) -> list[list[ToyFace]]:
        return [[ToyFace(torch.zeros(5, 2))] if image.max() > -0.99 else [] for image in images]


class ToyJudge:
    def __init__(self, name: str, family: str, seed: int) -> None:
        self.name, self.family = name, family
        self.view = torch.randn(FIELDS, 32, generator=torch.Generator().manual_seed(seed))

    def embed_faces(self, images: Tensor, landmarks: Tensor) -> Tensor:
        assert landmarks.shape == (images.shape[0], 5, 2)
        return F.normalize(pattern(images) @ self.view, dim=1)


@dataclass(frozen=True)
class ToyHead:
    kind: Literal["categorical", "binary", "continuous"]
    outputs: tuple[str, ...]


class ToyAttributes:
    name = "toy attributes"
    heads: ClassVar[Mapping[str, ToyHead]] = {
        "tint": ToyHead("binary", ("red", "blue")),
        "strongest": ToyHead("categorical", ("r", "g", "b")),
        "tilt": ToyHead("continuous", ("degrees",)),
    }

    def predict_faces(self, images: Tensor, landmarks: Tensor) -> Mapping[str, Tensor]:
        colours = images.mean((2, 3))
        return {
            "tint": ((colours + 1) / 2)[:, [0, 2]],
            "strongest": (4 * colours).softmax(1),
            "tilt": 90 * colours[:, :1],
        }


class ToyDescriber:
    """Describes a picture by its pattern."""

    name = "toy describer"
    heads: ClassVar[Mapping[str, ToyHead]] = {
        "pattern": ToyHead("continuous", tuple(f"field {index}" for index in range(FIELDS))),
    }

    def predict_faces(self, images: Tensor, landmarks: Tensor) -> Mapping[str, Tensor]:
        assert landmarks.shape == (images.shape[0], 5, 2)
        return {"pattern": pattern(images)}


class ToyFeatures(nn.Module):
    name = "toy matcher"

    def forward(self, images: Tensor) -> Tensor:
        return pattern(images)[:, :8]


class ToyCaptions:
    """Knows one word, "red", and how red a picture is."""

    name = "toy captions"

    def pictures(self, pictures: Tensor) -> Tensor:
        red = (pictures.mean((2, 3))[:, 0] + 1) / 2
        return torch.stack([red, 1 - red], 1)

    def words(self, prompts: Sequence[str]) -> Tensor:
        return torch.tensor([[1.0, 0.0] if "red" in prompt else [0.0, 1.0] for prompt in prompts])


class ToyQuality:
    name = "toy quality"

    def score_faces(self, images: Tensor, landmarks: Tensor, generator: torch.Generator) -> Tensor:
        assert landmarks.shape == (images.shape[0], 5, 2)
        return (images.mean((1, 2, 3)) + 1) / 2


def pattern(images: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(images, CELLS).flatten(1)


class ToyWorld:
    """Draws people and photos; `noise` is how much one photo differs from the next."""

    def __init__(self, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def person(self) -> Tensor:
        return 0.4 * torch.randn(3, CELLS, CELLS, generator=self.generator)

    def photos(self, person: Tensor, count: int, noise: float = 0.1, strength: float = 1.0) -> Tensor:
        """(count, 3, SIDE, SIDE); strength 0 leaves nothing of the person, -1 shows the opposite."""
        coarse = strength * person + noise * torch.randn(count, 3, CELLS, CELLS, generator=self.generator)
        fine = 0.02 * torch.randn(count, 3, SIDE, SIDE, generator=self.generator)
        return (F.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic") + fine).clamp(-1, 1)

    def strangers(self, people: int = 40, each: int = 4) -> Strangers:
        photos = torch.cat([self.photos(self.person(), each) for _ in range(people)])
        return Strangers(photos, [label for label in range(people) for _ in range(each)])


def blank(count: int) -> Tensor:
    """Pictures in which the toy detector finds nothing."""
    return -torch.ones(count, 3, SIDE, SIDE)


def toy_instruments() -> Instruments:
    return Instruments(
        detector=ToyDetector(),
        judges=[ToyJudge("first", "pattern", 1), ToyJudge("second", "texture", 2)],
        regressors=[ToyAttributes()],
        describer=ToyDescriber(),
        features=ToyFeatures(),
        features_name="toy features",
        matcher=ToyFeatures(),
        captions=ToyCaptions(),
        quality=ToyQuality(),
    )

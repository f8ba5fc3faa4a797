"""Plain pictures, one colour each, and a detector that finds a face in all but the black ones."""

from __future__ import annotations

import torch
from torch import Tensor

from support.kits import face_in_the_middle
from visard.faces.detector import Face

SIDE = 32
Shade = tuple[float, float, float]
BLACK, RED, GREEN, BLUE = (0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


class SeesColour:
    """Finds a face in every picture that is not black."""

    name, setting, weights = "colour", "not black", ""

    def detect(self, images: Tensor) -> list[list[Face]]:
        faces = face_in_the_middle(None, images)
        return [found if image.max() > -1 else [] for found, image in zip(faces, images, strict=True)]


def colours(*values: Shade) -> Tensor:
    """One plain picture (3, SIDE, SIDE) a colour, channels in [0, 1]."""
    return (torch.tensor(values) * 2 - 1)[:, :, None, None].expand(-1, 3, SIDE, SIDE).clone()

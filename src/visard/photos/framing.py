"""The square cut from a photo: head and shoulders of one person, nobody else's face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from PIL import Image
from torch import Tensor

from visard.images import center_crop
from visard.photos.windows import shared

BYSTANDER = 0.25
"""Faces whose area is below this share of the person's are background and do no harm."""
FACE_SHARE = (0.3, 0.8)
"""Height of the face by side of the picture between which a photo is framed well as it is."""
CLOSENESS = (2.2, 1.95, 1.7, 1.5)
"""Side of the square by height of the face: head and shoulders, then closer, to leave others out."""
SHIFTS = (0.0, -0.12, 0.12, -0.22, 0.22)
"""Steps to the side, as shares of the square, away from others."""
BELOW = 0.08
"""How far the square's middle lies below the face's, as a share of its side: shoulders, not sky."""
TOLERANCE = 0.02
"""How far, as a share of the square, a face may reach out of it."""


@dataclass(frozen=True)
class Frame:
    """A square of whole pixels of a photo; `kept` when it is the photo's own middle."""

    left: int
    top: int
    side: int
    kept: bool = False

    @property
    def box(self) -> Tensor:
        """(4,): x1 y1 x2 y2."""
        return torch.tensor([self.left, self.top, self.left + self.side, self.top + self.side]).float()

    def cut(self, image: Image.Image, size: int) -> Image.Image:
        """The square, resized to `size` x `size`."""
        if self.kept:
            return center_crop(image, size)
        box = (self.left, self.top, self.left + self.side, self.top + self.side)
        return image.resize((size, size), Image.Resampling.LANCZOS, box=box)

    def inside(self, points: Tensor, size: int) -> Tensor:
        """Points (N, 2) of the photo in the cut of `size` px, pixel centres at integers."""
        return (points + 0.5 - torch.tensor([self.left, self.top])) * (size / self.side) - 0.5


def frame(face: Tensor, others: Sequence[Tensor], width: int, height: int) -> Frame:
    """The square for the face with box (4,) in a photo; the photographer's own framing where that serves.

    others: boxes of the other faces, kept out as far as can be.
    """
    side = min(width, height)
    middle = Frame((width - side) // 2, (height - side) // 2, side, kept=True)
    tall = float(face[3] - face[1])
    if (
        FACE_SHARE[0] <= tall / side <= FACE_SHARE[1]
        and _holds(middle, face)
        and _alone(middle, face, others)
    ):
        return middle
    squares = [
        _around(face, tall * times, shift, width, height) for times, shift in product(CLOSENESS, SHIFTS)
    ]
    whole = [square for square in squares if _holds(square, face)]
    return next((square for square in whole if _alone(square, face, others)), squares[0])


def _around(face: Tensor, side: float, shift: float, width: int, height: int) -> Frame:
    """A square of about `side` around the face, moved so that it lies in the photo.

    Whole pixels: of a box, the last bit is the number of threads', and pictures must not depend on it.
    """
    whole = min(round(side), width, height)
    x, y = ((face[:2] + face[2:]) / 2).tolist()
    left = min(max(round(x + (shift - 0.5) * whole), 0), width - whole)
    top = min(max(round(y + (BELOW - 0.5) * whole), 0), height - whole)
    return Frame(left, top, whole)


def _holds(square: Frame, face: Tensor) -> bool:
    out = TOLERANCE * square.side
    box = square.box
    return bool((face[:2] >= box[:2] - out).all() and (face[2:] <= box[2:] + out).all())


def _alone(square: Frame, face: Tensor, others: Sequence[Tensor]) -> bool:
    limit = BYSTANDER * float((face[2:] - face[:2]).clamp(min=0).prod())
    return all(shared(square.box, other) < limit for other in others)

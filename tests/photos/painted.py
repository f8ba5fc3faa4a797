"""People who are colours: a detector and a recogniser that are right without a network, at any size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from visard.faces.alignment import TEMPLATE_112
from visard.faces.detector import Face
from visard.faces.recognizer import InputSpec, Recognizer

COLOURS = {"red": (255, 90, 90), "green": (90, 255, 90), "blue": (115, 115, 255)}
SIZE = 64


def photo(
    *people: tuple[str, int, int, int], width: int = 96, height: int = 96, seed: int = 0
) -> Image.Image:
    """A grey scene with faces: colour, left, top and width of each; a face is a quarter taller than wide."""
    rng = np.random.default_rng(seed)
    scene = rng.integers(70, 180, (height // 8, width // 8), dtype=np.uint8)
    grey = Image.fromarray(scene).resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.repeat(np.asarray(grey)[..., None], 3, axis=2).copy()
    for colour, left, top, wide in people:
        tall = wide * 5 // 4
        skin = np.where(rng.random((tall // 2, wide // 2)) < 0.5, 0.7, 1.0).repeat(2, 0).repeat(2, 1)
        pixels[top : top + len(skin), left : left + skin.shape[1]] = skin[..., None] * COLOURS[colour]
    return Image.fromarray(pixels)


class ColourDetector:
    """Finds one face of each colour: the box around all that is clearly of it."""

    name = "colours"
    setting = "exact"

    def detect(self, images: Tensor) -> list[list[Face]]:
        return [[face for colour in range(3) for face in self._of(image, colour)] for image in images]

    @staticmethod
    def _of(image: Tensor, colour: int) -> Sequence[Face]:
        level = (image + 1) / 2
        others = torch.cat([level[:colour], level[colour + 1 :]]).amax(0)
        rows, columns = torch.nonzero(level[colour] - others > 0.2, as_tuple=True)
        if len(rows) < 30:
            return []
        box = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).float()
        landmarks = TEMPLATE_112 / 112 * (box[2:] - box[:2]) + box[:2]
        return [Face(box, 0.9, landmarks)]


class Hue(nn.Module):
    """The mean colour of a crop, its brightness taken away."""

    def forward(self, crops: Tensor) -> Tensor:
        mean = crops.mean((2, 3))
        return mean - mean.mean(1, keepdim=True) + 1e-6


def colour_recognizer() -> Recognizer:
    return Recognizer(Hue(), name="hue", family="colours", spec=InputSpec(16))

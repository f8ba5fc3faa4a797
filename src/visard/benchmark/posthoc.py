"""Post-hoc anonymisation of finished pictures: the detected face is pixelated or blurred."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from visard.attacks.views import gaussian
from visard.errors import InputError
from visard.faces.detector import Detector

MARGIN = 0.1
"""How far beyond the detected box a face is covered, as a share of the box."""
BATCH = 16

Cover = Callable[[Tensor, float], Tensor]
"""A region (3, h, w) and a strength -> the region, covered."""


def pixelated(region: Tensor, strength: float) -> Tensor:
    """`strength` cells along the longer side: fewer show less."""
    height, width = region.shape[-2:]
    cell = max(height, width) / strength
    cells = (max(1, round(height / cell)), max(1, round(width / cell)))
    coarse = F.adaptive_avg_pool2d(region[None], cells)
    return F.interpolate(coarse, (height, width), mode="nearest")[0]


def blurred(region: Tensor, strength: float) -> Tensor:
    """Gaussian blur whose sigma is `strength` hundredths of the longer side."""
    return gaussian(region[None], strength / 100 * max(region.shape[-2:]))[0]


COVERS: dict[str, Cover] = {"pixelate": pixelated, "blur": blurred}


def cover_faces(pictures: Tensor, detector: Detector, method: str, strength: float) -> Tensor:
    """Pictures (P, 3, H, W) in [-1, 1] with every detected face covered; others stay as they are.

    Raises InputError for an unknown method or a strength that is not above 0.
    """
    if method not in COVERS or not strength > 0:
        raise InputError(
            f"There is no way to cover faces called {method} {strength:g}.",
            f"Choose one of {', '.join(COVERS)}, with a strength above 0.",
        )
    covered = pictures.clone()
    height, width = pictures.shape[-2:]
    for start in range(0, len(pictures), BATCH):
        found = detector.detect(pictures[start : start + BATCH])
        for index, faces in enumerate(found, start=start):
            for face in faces:
                left, top, right, bottom = face.box.tolist()
                x, y = MARGIN * (right - left), MARGIN * (bottom - top)
                rows = slice(max(0, round(top - y)), min(height, round(bottom + y) + 1))
                columns = slice(max(0, round(left - x)), min(width, round(right + x) + 1))
                region = covered[index, :, rows, columns]
                if region.numel():
                    covered[index, :, rows, columns] = COVERS[method](region, strength)
    return covered

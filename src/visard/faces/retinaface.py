"""RetinaFace (Deng et al. 2020) for SCRFD's decoder: its prior boxes said as distances from the cell."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from visard.faces.architectures.retinaface import ANCHORS, STRIDES

PRIOR_SIDES = ((16, 32), (64, 128), (256, 512))
"""Sides of the two prior boxes of a cell, in px, at each stride."""
MEAN_BGR = (104.0, 117.0, 123.0)
VARIANCES = (0.1, 0.2)


class RetinaFaceNetwork:
    """A RetinaFace module behind the decoder of `visard.faces.detector`.

    A prior box of side s around the centre of its cell, c = (place + 1/2) stride, stands for the box with
    centre c + 0.1 s (dx, dy) and sides s exp(0.2 (dw, dh)), and landmarks c + 0.1 s (x, y).
    """

    canvas = None

    def __init__(self, module: nn.Module) -> None:
        self.module = module.eval().requires_grad_(False)

    def __call__(self, canvas: Tensor) -> list[Tensor]:
        device = next(self.module.parameters()).device
        raw: list[Tensor] = [output.cpu() for output in self.module(bgr(canvas).to(device))]
        levels = len(STRIDES)
        outputs = [score.sigmoid() for score in raw[:levels]]
        sides = [self._sides(level, raw[level]) for level in range(levels)]
        outputs += [_distances(boxes, side) for boxes, side in zip(raw[levels:-levels], sides, strict=True)]
        outputs += [
            0.5 + VARIANCES[0] * side * points for points, side in zip(raw[-levels:], sides, strict=True)
        ]
        return outputs

    def _sides(self, level: int, scores: Tensor) -> Tensor:
        """Side of each prior box in strides: (N, 1)."""
        sides = scores.new_tensor(PRIOR_SIDES[level]) / STRIDES[level]
        return sides.repeat(scores.shape[1] // ANCHORS)[:, None]


def bgr(images: Tensor) -> Tensor:
    """Pictures in [-1, 1] to what RetinaFace was trained on: BGR in 0-255, less the mean of ImageNet."""
    mean = images.new_tensor(MEAN_BGR)[:, None, None]
    return (images.flip(1) + 1) * 127.5 - mean


def _distances(boxes: Tensor, side: Tensor) -> Tensor:
    """Offsets (B, N, 4) of prior boxes to the distances from the cell to left, top, right and bottom."""
    centre = 0.5 + VARIANCES[0] * side * boxes[..., :2]
    half = side * (VARIANCES[1] * boxes[..., 2:]).exp() / 2
    return torch.cat([half - centre, half + centre], -1)

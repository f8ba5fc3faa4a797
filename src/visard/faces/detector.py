"""What a face detector finds, and the decoding its anchor grids share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Face:
    """One detected face, in pixels of the picture it was found in."""

    box: Tensor
    """(4,): x1 y1 x2 y2."""
    score: float
    """In [0, 1]."""
    landmarks: Tensor
    """(5, 2): left eye, right eye, nose, left and right corner of the mouth, as the viewer sees them."""


class Detector(Protocol):
    """Finds faces; `setting` belongs beside every rate computed from what it finds.

    weights: a digest of its models' files, "" where they are not known.
    """

    name: str

    @property
    def weights(self) -> str: ...

    @property
    def setting(self) -> str: ...

    def detect(self, images: Tensor) -> list[list[Face]]:
        """Faces of each picture (B, 3, H, W) in [-1, 1], best score first; without gradient."""
        ...


@dataclass(frozen=True)
class Candidates:
    """Detections of one picture before suppression: boxes (N, 4), scores (N,), landmarks (N, 5, 2)."""

    boxes: Tensor
    scores: Tensor
    landmarks: Tensor


def overlap(box: Tensor, boxes: Tensor) -> Tensor:
    """Intersection over union of one box (4,) with each of (N, 4), 0 where a box has no area."""
    corner = torch.minimum(box[2:], boxes[:, 2:]) - torch.maximum(box[:2], boxes[:, :2])
    intersection = corner.clamp_min(0).prod(-1)
    areas = (boxes[:, 2:] - boxes[:, :2]).clamp_min(0).prod(-1)
    area = (box[2:] - box[:2]).clamp_min(0).prod()
    return intersection / (area + areas - intersection).clamp_min(1e-9)


def nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Indices of the boxes (N, 4) kept by non-maximum suppression, best of `scores` (N,) first.

    Each box is visited once, so degenerate boxes (no area, corners swapped, NaN) cannot keep it from ending.
    """
    order = scores.argsort(descending=True, stable=True)
    alive = torch.ones(len(order), dtype=torch.bool)
    kept = []
    for place in range(len(order)):
        if not alive[place]:
            continue
        kept.append(place)
        rest = order[place + 1 :]
        # "not over" instead of "under": an overlap that is NaN suppresses nothing
        alive[place + 1 :] &= ~(overlap(boxes[order[place]], boxes[rest]) > threshold).cpu()
    return order[torch.tensor(kept, dtype=torch.long)]


def decode(
    outputs: Sequence[Tensor],
    height: int,
    width: int,
    *,
    threshold: float,
    strides: Sequence[int] = (8, 16, 32),
    anchors: int = 2,
) -> list[Candidates]:
    """Candidates of each picture of a batch (B, 3, height, width), in its pixels (Guo et al. 2022).

    outputs: probabilities (B, N, 1) at each stride in turn, then distances (B, N, 4), then landmark offsets
    (B, N, 10), both in strides; N runs over the cells from the top left, `anchors` rows a cell.
    Detections without area, with coinciding landmarks or with numbers that are not finite are no faces.
    """
    levels = len(strides)
    scores, boxes, landmarks = [], [], []
    for level, stride in enumerate(strides):
        rows, columns = height // stride, width // stride
        score, distance, offset = (outputs[level + kind * levels].float() for kind in range(3))
        if score.shape[1] != rows * columns * anchors:
            expected = f"{rows} x {columns} x {anchors}"
            raise ValueError(f"stride {stride} has {score.shape[1]} outputs where {expected} were expected")
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        cell = (torch.stack([x, y], -1) * stride).reshape(-1, 1, 2).expand(-1, anchors, -1).reshape(-1, 2)
        cell = cell.to(score)
        scores.append(score[..., 0])
        boxes.append(torch.cat([cell - distance[..., :2] * stride, cell + distance[..., 2:] * stride], -1))
        landmarks.append(cell[:, None] + offset.reshape(*offset.shape[:2], 5, 2) * stride)
    found = zip(torch.cat(scores, 1), torch.cat(boxes, 1), torch.cat(landmarks, 1), strict=True)
    return [_faces(*picture, threshold) for picture in found]


def _faces(scores: Tensor, boxes: Tensor, landmarks: Tensor, threshold: float) -> Candidates:
    finite = boxes.isfinite().all(-1) & landmarks.flatten(1).isfinite().all(-1)
    area = (boxes[:, 2:] > boxes[:, :2]).all(-1)
    spread = (landmarks.amax(1) - landmarks.amin(1)).amax(-1) > 0.1
    good = (scores >= threshold) & finite & area & spread
    return Candidates(boxes[good], scores[good], landmarks[good])

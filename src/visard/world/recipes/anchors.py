"""What a single-shot detector is asked for: ATSS says which cells answer for a face, and how they are graded.

ATSS: Zhang et al. 2020; quality focal loss: Li et al. 2020, eq. 2; DIoU: Zheng et al. 2020; together in SCRFD
(Guo et al. 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

STRIDES = (8, 16, 32)
ANCHOR_SIZES = ((16, 28), (40, 60), (84, 116))
"""Sides of the two anchors a cell has at each stride, in px: SCRFD's, reduced to pictures of 128 px."""
CANDIDATES = 9
LOSS_WEIGHTS = {"score": 1.0, "box": 2.0, "landmarks": 8.0}


@dataclass(frozen=True)
class Anchors:
    """A canvas's anchors, in the order of the outputs: centers (A, 2), boxes (A, 4), strides (A,)."""

    centers: Tensor
    boxes: Tensor
    strides: Tensor
    levels: tuple[int, ...]

    @classmethod
    def of(cls, side: int, device: torch.device | str = "cpu") -> Anchors:
        centers, sizes, strides, levels = [], [], [], []
        for stride, pair in zip(STRIDES, ANCHOR_SIZES, strict=True):
            cells = side // stride
            y, x = torch.meshgrid(torch.arange(cells), torch.arange(cells), indexing="ij")
            center = (torch.stack([x, y], -1) * stride).reshape(-1, 1, 2).expand(-1, len(pair), 2)
            centers.append(center.reshape(-1, 2).float())
            sizes.append(torch.tensor(pair).float().repeat(cells * cells))
            levels.append(len(centers[-1]))
            strides.append(torch.full((levels[-1],), float(stride)))
        center, half = torch.cat(centers), torch.cat(sizes)[:, None] / 2
        boxes = torch.cat([center - half, center + half], 1)
        return cls(center.to(device), boxes.to(device), torch.cat(strides).to(device), tuple(levels))


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of boxes (..., 4), pair by pair."""
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    shared = (high - low).clamp_min(0).prod(-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).clamp_min(0).prod(-1) for boxes in (first, second)]
    return shared / (areas[0] + areas[1] - shared).clamp_min(1e-6)


def assign(anchors: Anchors, boxes: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """ATSS: which anchors answer (B, A), for which face (B, A); boxes (B, G, 4) where present (B, G)."""
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    distance = torch.cdist(middle, anchors.centers.expand(len(boxes), -1, -1))  # (B, G, A)
    overlap = iou(anchors.boxes, boxes[:, :, None])
    near = torch.zeros_like(distance, dtype=torch.bool)
    start = 0
    for count in anchors.levels:
        closest = distance[..., start : start + count].topk(min(CANDIDATES, count), largest=False).indices
        near.scatter_(2, closest + start, True)
        start += count
    candidates = overlap.masked_fill(~near, 0.0)
    number = near.sum(-1, keepdim=True)
    mean = candidates.sum(-1, keepdim=True) / number
    deviation = (((overlap - mean) ** 2 * near).sum(-1, keepdim=True) / (number - 1)).sqrt()
    centers = anchors.centers
    within = ((centers > boxes[:, :, None, :2]) & (centers < boxes[:, :, None, 2:])).all(-1)
    positive = near & (overlap >= mean + deviation) & within & present[..., None]
    best = torch.where(positive, overlap, -1.0).max(1)
    return best.values >= 0, best.indices


def detection_loss(
    outputs: Sequence[Tensor], anchors: Anchors, boxes: Tensor, landmarks: Tensor, present: Tensor
) -> dict[str, Tensor]:
    """SCRFD's loss, weighted, for nine raw outputs, boxes (B, G, 4), landmarks (B, G, 5, 2), present (B, G).

    The landmarks' error is relative to the face's width, as they are judged, and not to the stride.
    """
    levels = len(STRIDES)
    logits, distances, offsets = (
        torch.cat([output.float() for output in outputs[kind * levels : (kind + 1) * levels]], 1)
        for kind in range(3)
    )
    stride, centers = anchors.strides[:, None], anchors.centers
    found = torch.cat([centers - distances[..., :2] * stride, centers + distances[..., 2:] * stride], -1)
    answers, face = assign(anchors, boxes, present)
    true_boxes = boxes.gather(1, face[..., None].expand(-1, -1, 4))[answers]
    predicted = found[answers]
    overlap = iou(predicted, true_boxes)
    faces = answers.sum().clamp_min(1)

    quality = torch.zeros_like(logits[..., 0])
    quality[answers] = overlap.detach()
    score = logits[..., 0]
    weight = (quality - score.sigmoid()).abs().square()
    score_loss = (F.binary_cross_entropy_with_logits(score, quality, reduction="none") * weight).sum() / faces

    points = centers[:, None] + offsets.view(*offsets.shape[:2], 5, 2) * stride[:, None]
    true_points = landmarks.flatten(2).gather(1, face[..., None].expand(-1, -1, 10)).view_as(points)[answers]
    width = (true_boxes[:, 2] - true_boxes[:, 0]).view(-1, 1, 1)
    error = F.smooth_l1_loss(points[answers] / width, true_points / width, beta=0.01, reduction="sum")
    parts = {
        "score": score_loss,
        "box": diou_loss(predicted, true_boxes, overlap).sum() / faces,
        "landmarks": error / (10 * faces),
    }
    return {name: LOSS_WEIGHTS[name] * part for name, part in parts.items()}


def diou_loss(found: Tensor, true: Tensor, overlap: Tensor) -> Tensor:
    """1 - IoU + squared distance of the middles over that of the hull's corners: (N, 4) -> (N,)."""
    distance = ((found[:, :2] + found[:, 2:] - true[:, :2] - true[:, 2:]) / 2).square().sum(-1)
    low, high = torch.minimum(found[:, :2], true[:, :2]), torch.maximum(found[:, 2:], true[:, 2:])
    return 1 - overlap + distance / (high - low).square().sum(-1).clamp_min(1e-6)

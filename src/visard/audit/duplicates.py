"""Finding the same photo in two sets, also resized, recompressed or mirrored."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 24
SAME = 0.995
"""Correlation of two thumbnails from which on they are one photo.

JPEG 50 and a resize keep .998, a new shot does not.
"""


def duplicates(first: Tensor, second: Tensor) -> int:
    """How many photos of `first` (A, 3, H, W) also stand in `second` (B, 3, H', W')."""
    if not first.shape[0] or not second.shape[0]:
        return 0
    thumbnails, mirrored = _thumbnails(second), _thumbnails(second.flip(-1))
    mine = _thumbnails(first)
    alike = torch.maximum(mine @ thumbnails.T, mine @ mirrored.T).max(1).values
    return int((alike >= SAME).sum())


def _thumbnails(pictures: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, 3 * SIDE^2), centred, unit length.

    A picture of one colour becomes zero and matches nothing.
    """
    small = F.interpolate(
        pictures.float(), size=(SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False
    )
    flat = small.flatten(1)
    centred = flat - flat.mean(1, keepdim=True)
    length: Tensor = torch.linalg.vector_norm(centred, dim=1, keepdim=True)
    return torch.where(length > 1e-3, centred / length.clamp(min=1e-3), 0.0)

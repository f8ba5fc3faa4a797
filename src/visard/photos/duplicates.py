"""The same photo twice, also resized, compressed again, mirrored or slightly cropped; shots of one burst."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 24
"""Pixels of the thumbnails that are compared; they are kept at twice that, to be cropped before."""
SAME = 0.995
"""Correlation of two thumbnails from which on they are one photo.

JPEG 50 and a resize keep .998, a new shot does not.
"""
SAME_CROPPED = 0.993
"""The same when one is a part of the other: what remains of it after the crop is found."""
BURST = 0.96
"""From which on they are two shots of one moment."""
PROMISING = 0.6
"""Below it no crop is looked for."""
STEPS = (0.06, 0.03, 0.015, 0.007)
"""How far the search for a crop moves an edge, as shares of the photo, each twice round."""
FARTHEST = 0.15
"""How much a slight crop may take from an edge."""


def duplicates(first: Tensor, second: Tensor) -> int:
    """How many photos of `first` (A, 3, H, W) also stand in `second` (B, 3, H', W'), crops included."""
    if not first.shape[0] or not second.shape[0]:
        return 0
    return int(same(*alike(thumbnails(first), thumbnails(second))).any(1).sum())


def shared(owners: Sequence[Tensor]) -> int:
    """How many photos, (A, 3, H, W) of each owner, also stand among another's; crops are not looked for."""
    small = torch.cat([thumbnails(each) for each in owners])
    whose = torch.repeat_interleave(torch.tensor([len(each) for each in owners]))
    plain = torch.maximum(*_correlations(small, small))
    return int(((plain >= SAME) & (whose[:, None] != whose)).any(1).sum())


def repeats(photos: Tensor) -> int:
    """How many photos (A, 3, H, W) repeat an earlier one; crops are not looked for."""
    small = thumbnails(photos)
    plain = torch.maximum(*_correlations(small, small))
    return int((plain >= SAME).tril(-1).any(1).sum())


def same(plain: Tensor, cropped: Tensor) -> Tensor:
    """Which correlations, as `alike` gives them, say that two are one photo."""
    return (plain >= SAME) | (cropped >= SAME_CROPPED)


def thumbnails(pictures: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, 3, 2 SIDE, 2 SIDE), whatever the shape."""
    size = (2 * SIDE, 2 * SIDE)
    return F.interpolate(pictures.float(), size, mode="bilinear", antialias=True, align_corners=False)


def alike(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Correlations (A, B) of thumbnails, as they are or mirrored: of whole photos, and of the best crop."""
    straight, turned = _correlations(first, second)
    plain = torch.maximum(straight, turned)
    cropped = plain.clone()
    row, column = torch.nonzero((plain >= PROMISING) & (plain < SAME), as_tuple=True)
    if len(row):
        way = (turned > straight)[row, column].reshape(-1, 1, 1, 1)
        mine, theirs = first[row], torch.where(way, second.flip(-1)[column], second[column])
        cropped[row, column] = torch.stack(
            [plain[row, column], _best_crop(mine, theirs), _best_crop(theirs, mine)]
        ).amax(0)
    return plain, cropped


def _correlations(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """(A, B) of thumbnails as they are, and with the second mirrored."""
    vectors = _vectors(first)
    return vectors @ _vectors(second).T, vectors @ _vectors(second.flip(-1)).T


def _best_crop(whole: Tensor, part: Tensor) -> Tensor:
    """Correlations (C,) of `part` with the crop of `whole` most like it, each edge searched in turn."""
    target = _vectors(part)
    edges = torch.zeros(len(whole), 4)  # left, top, right, bottom: what is cut away
    best = (_vectors(whole) * target).sum(1)
    for step in (step for step in STEPS for _ in range(2)):
        for edge in range(4):
            for way in (step, -step):
                tried = edges.clone()
                tried[:, edge] = (tried[:, edge] + way).clamp(0, FARTHEST)
                found = (_vectors(_crop(whole, tried)) * target).sum(1)
                better = found > best
                best = torch.where(better, found, best)
                edges = torch.where(better[:, None], tried, edges)
    return best


def _crop(pictures: Tensor, edges: Tensor) -> Tensor:
    """Pictures (C, 3, S, S) less `edges` (C, 4) on each side, at the same size."""
    left, top, right, bottom = edges.to(pictures).unbind(1)
    zero = torch.zeros_like(left)
    across = torch.stack([1 - left - right, zero, left - right], 1)
    down = torch.stack([zero, 1 - top - bottom, top - bottom], 1)
    grid = F.affine_grid(torch.stack([across, down], 1), list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, "bilinear", "border", align_corners=False)


def _vectors(pictures: Tensor) -> Tensor:
    """(B, 3, 2 SIDE, 2 SIDE) -> (B, 3 * SIDE^2), centred, unit length.

    A picture of one colour becomes zero and matches nothing.
    """
    flat = F.avg_pool2d(pictures, 2).flatten(1)
    centred = flat - flat.mean(1, keepdim=True)
    length: Tensor = torch.linalg.vector_norm(centred, dim=1, keepdim=True)
    return torch.where(length > 1e-3, centred / length.clamp(min=1e-3), 0.0)

"""Alignment: five landmarks to a template by a similarity transform, and the picture with them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# ArcFace's (Deng et al. 2019): left eye, right eye, nose, left and right mouth corner, as viewed.
TEMPLATE_112 = torch.tensor(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
COINCIDENT = 1e-6  # pixels^2: below this spread five landmarks are one point and have no transform


def template(size: int, margin: float = 0.0) -> Tensor:
    """Where the landmarks lie in a crop of `size` px: (5, 2).

    margin: what is added on each side, as a fraction of the ArcFace crop: 0.5 shows twice its width.
    """
    return (TEMPLATE_112 + 112 * margin) * (size / (112 * (1 + 2 * margin)))


def similarity_transform(source: Tensor, target: Tensor) -> Tensor:
    """Least-squares similarity that takes `source` (B, 5, 2) to `target` (5, 2): (B, 2, 3), picture -> crop.

    Constants in every gradient. Umeyama's solution (1991), which in two dimensions is one complex division.
    Raises ValueError when all landmarks of a face coincide.
    """
    source = source.detach().cpu().double()  # not every device has float64
    target = target.detach().to(source)
    source_mean, target_mean = source.mean(-2, keepdim=True), target.mean(-2, keepdim=True)
    x, y = (source - source_mean).unbind(-1)
    u, v = (target - target_mean).unbind(-1)
    variance = (x**2 + y**2).sum(-1)
    if bool((variance < COINCIDENT).any()):
        raise ValueError("all landmarks of a face coincide: there is no transform")
    a = (x * u + y * v).sum(-1) / variance  # scale * cos(angle)
    b = (x * v - y * u).sum(-1) / variance  # scale * sin(angle)
    rotation = torch.stack([torch.stack([a, -b], -1), torch.stack([b, a], -1)], -2)
    shift = target_mean.mT - rotation @ source_mean.mT
    return torch.cat([rotation, shift], -1).float()


def warp(images: Tensor, matrices: Tensor, size: int) -> Tensor:
    """Crops (B, 3, size, size) of pictures (B, 3, H, W) in [-1, 1] by matrices (B, 2, 3), picture -> crop.

    Differentiable in `images`. Bilinear, pixel centres at integers, black beyond the picture: what
    cv2.warpAffine gives.
    """
    height, width = images.shape[-2:]
    matrices = matrices.detach().to(images)
    inverse = torch.linalg.inv(matrices[:, :, :2])
    shift = -inverse @ matrices[:, :, 2:]
    # grid_sample's coordinates: pixel p of n lies at (2 p + 1) / n - 1 (align_corners=False). With the crop's
    # n = size, p = (size (g + 1) - 1) / 2; the same for the picture, solved for its coordinate.
    extent = images.new_tensor([[width], [height]])
    centre = inverse.sum(-1, keepdim=True) * ((size - 1) / 2) + shift
    theta = torch.cat([inverse * (size / extent), (2 * centre + 1) / extent - 1], -1)
    grid = F.affine_grid(theta, [images.shape[0], images.shape[1], size, size], align_corners=False)
    # Black is -1 and grid_sample pads with 0.
    return F.grid_sample(images + 1, grid, "bilinear", "zeros", align_corners=False) - 1


def align(images: Tensor, landmarks: Tensor, size: int, target: Tensor | None = None) -> Tensor:
    """Aligned crops (B, 3, size, size) of pictures (B, 3, H, W) in [-1, 1] by landmarks (B, 5, 2) in px.

    target: (5, 2) in px of the crop; the ArcFace template when None. Differentiable in `images` alone.
    """
    return warp(images, similarity_transform(landmarks, template(size) if target is None else target), size)

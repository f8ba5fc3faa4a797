"""What happens to pictures between a camera and a recogniser, for whole batches at once.

Each takes pictures (B, 3, H, W) in [-1, 1] and a CPU generator and returns pictures of that shape and range;
those with a `share` touch that part of the batch and leave the rest alone.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LUMINANCE_QUANTIZATION = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Annex K of the JPEG standard (ITU-T T.81)."""


def uniform(
    shape: tuple[int, ...], low: float, high: float, generator: torch.Generator, like: Tensor
) -> Tensor:
    """Uniform numbers in [low, high), drawn on the CPU so that a seed means the same on every device."""
    numbers: Tensor = low + (high - low) * torch.rand(shape, generator=generator)
    return numbers.to(like.device)


def some(count: int, share: float, generator: torch.Generator, like: Tensor) -> Tensor:
    """Indices of a random part of a batch."""
    return torch.randperm(count, generator=generator)[: round(share * count)].to(like.device)


def jitter_landmarks(landmarks: Tensor, deviation: float | Tensor, generator: torch.Generator) -> Tensor:
    """Landmarks (B, 5, 2) off by a detector's error: `deviation`, one or (B, 1, 1), in eye distances."""
    eyes = (landmarks[:, 1] - landmarks[:, 0]).norm(dim=1).view(-1, 1, 1)
    noise = torch.randn(landmarks.shape, generator=generator).to(landmarks.device)
    jittered: Tensor = landmarks + deviation * eyes * noise
    return jittered


def flip(pictures: Tensor, generator: torch.Generator, share: float = 0.5) -> Tensor:
    """Mirrored left to right."""
    rows = some(pictures.shape[0], share, generator, pictures)
    return pictures.index_copy(0, rows, pictures[rows].flip(-1))


def recolor(pictures: Tensor, generator: torch.Generator, strength: float = 0.2) -> Tensor:
    """Exposure, contrast, saturation and white balance, each changed by up to about `strength`."""
    count = pictures.shape[0]
    grey = pictures.mean(1, keepdim=True)
    saturation = uniform((count, 1, 1, 1), 1 - 2 * strength, 1 + 2 * strength, generator, pictures)
    contrast = uniform((count, 1, 1, 1), 1 - strength, 1 + strength, generator, pictures)
    balance = uniform((count, 3, 1, 1), 1 - strength / 3, 1 + strength / 3, generator, pictures)
    exposure = uniform((count, 1, 1, 1), -strength, strength, generator, pictures)
    return ((grey + saturation * (pictures - grey)) * contrast * balance + exposure).clamp(-1, 1)


def coarsen(
    pictures: Tensor, generator: torch.Generator, share: float = 0.2, smallest: float = 0.3
) -> Tensor:
    """Seen at a lower resolution, down to `smallest` of the sides, and enlarged again: faces from afar."""
    rows = some(pictures.shape[0], share, generator, pictures)
    if len(rows) == 0:
        return pictures
    size = pictures.shape[-2:]
    factor = float(uniform((1,), smallest, 0.85, generator, torch.empty(0)))
    small = F.interpolate(
        pictures[rows], scale_factor=factor, mode="bilinear", antialias=True, align_corners=False
    )
    return pictures.index_copy(0, rows, F.interpolate(small, size=size, mode="bilinear", align_corners=False))


def compress(pictures: Tensor, generator: torch.Generator, share: float = 0.15) -> Tensor:
    """JPEG's loss at a quality of 20 to 80, by quantised cosine transforms; H and W are multiples of 8."""
    rows = some(pictures.shape[0], share, generator, pictures)
    if len(rows) == 0:
        return pictures
    basis = _cosine_basis().to(pictures)
    quality = uniform((len(rows), 1, 1, 1, 1, 1), 20, 80, generator, pictures)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)  # the reference encoder's rule
    table = torch.tensor(LUMINANCE_QUANTIZATION).to(pictures) * scale / 127.5  # for pictures in [-1, 1]
    blocks = pictures[rows].unfold(2, 8, 8).unfold(3, 8, 8)  # (b, 3, H/8, W/8, 8, 8)
    spectrum = basis @ blocks @ basis.T
    lossy = basis.T @ ((spectrum / table).round() * table) @ basis
    return pictures.index_copy(0, rows, lossy.transpose(3, 4).reshape(pictures[rows].shape).clamp(-1, 1))


def add_noise(pictures: Tensor, generator: torch.Generator, share: float = 0.2, most: float = 0.12) -> Tensor:
    """Sensor noise of a standard deviation up to `most`."""
    rows = some(pictures.shape[0], share, generator, pictures)
    noise = torch.randn((len(rows), *pictures.shape[1:]), generator=generator).to(pictures.device)
    strength = uniform((len(rows), 1, 1, 1), 0, most, generator, pictures)
    return pictures.index_add(0, rows, strength * noise).clamp(-1, 1)


def cut_out(pictures: Tensor, generator: torch.Generator, share: float = 0.3, largest: float = 0.5) -> Tensor:
    """A rectangle of one colour, its sides up to `largest` of the picture's: hands, hair, masks."""
    count, _, height, width = pictures.shape
    like = pictures
    cut = torch.rand(count, generator=generator).to(pictures.device) < share
    center_x, center_y = (uniform((count, 1), 0, side, generator, like) for side in (width, height))
    half_w, half_h = (uniform((count, 1), 0.05, largest / 2, generator, like) * s for s in (width, height))
    inside_x = (torch.arange(width, device=like.device) - center_x).abs() < half_w
    inside_y = (torch.arange(height, device=like.device) - center_y).abs() < half_h
    inside = inside_y[:, None, :, None] & inside_x[:, None, None, :] & cut.view(-1, 1, 1, 1)
    return torch.where(inside, uniform((count, 3, 1, 1), -1, 1, generator, like), pictures)


def _cosine_basis() -> Tensor:
    """(8, 8) orthonormal discrete cosine transform, a row a frequency."""
    k = torch.arange(8).view(-1, 1)
    n = torch.arange(8).view(1, -1)
    basis = 0.5 * torch.cos(math.pi * (2 * n + 1) * k / 16)
    basis[0] /= math.sqrt(2)
    return basis

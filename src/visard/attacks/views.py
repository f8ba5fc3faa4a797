"""Preprocessing an attacker may try: picture tensors (B, 3, H, W) in [-1, 1] to picture tensors (T2)."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from visard.attacks.denoising import total_variation
from visard.images import to_image, to_tensor

View = Callable[[Tensor], Tensor]

AS_IT_IS = "as it is"
REFERENCE_SIDE = 96
"""Widths in pixels are meant for pictures of this side and grow with larger ones."""


def as_it_is(pictures: Tensor) -> Tensor:
    """No preprocessing."""
    return pictures


def flip(pictures: Tensor) -> Tensor:
    """Left and right exchanged."""
    return pictures.flip(-1)


def crop(pictures: Tensor, share: float) -> Tensor:
    """The middle `share` of each side, resized to the whole."""
    height, width = pictures.shape[-2:]
    rows, columns = round(height * share), round(width * share)
    top, left = (height - rows) // 2, (width - columns) // 2
    return resize(pictures[..., top : top + rows, left : left + columns], height, width)


def shrink(pictures: Tensor, share: float) -> Tensor:
    """Resized to `share` of each side and back."""
    height, width = pictures.shape[-2:]
    return resize(resize(pictures, round(height * share), round(width * share)), height, width)


def blur(pictures: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of `sigma` px at `REFERENCE_SIDE`."""
    return gaussian(pictures, sigma * pictures.shape[-1] / REFERENCE_SIDE)


def gaussian(pictures: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of `sigma` px, the border repeated."""
    reach = max(1, round(3 * sigma))
    at = torch.arange(-reach, reach + 1, dtype=pictures.dtype)
    kernel = torch.exp(-(at**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).to(pictures.device)
    padded = F.pad(pictures, (reach, reach, reach, reach), mode="replicate")
    rows = F.conv2d(padded, kernel.view(1, 1, 1, -1).expand(3, 1, 1, -1), groups=3)
    return F.conv2d(rows, kernel.view(1, 1, -1, 1).expand(3, 1, -1, 1), groups=3)


def noise(pictures: Tensor, sigma: float) -> Tensor:
    """White noise of `sigma` in [-1, 1], the same for every batch."""
    generator = torch.Generator().manual_seed(0)
    added = torch.randn(pictures.shape, generator=generator).to(pictures)
    return (pictures + sigma * added).clamp(-1, 1)


def jpeg(pictures: Tensor, quality: int) -> Tensor:
    """Compressed and read again."""
    return torch.stack([_jpeg(picture, quality) for picture in pictures]).to(pictures)


def resize(pictures: Tensor, height: int, width: int) -> Tensor:
    """Bilinear, with antialiasing."""
    return F.interpolate(pictures, (height, width), mode="bilinear", antialias=True)


def _jpeg(picture: Tensor, quality: int) -> Tensor:
    buffer = io.BytesIO()
    to_image(picture).save(buffer, "JPEG", quality=quality)
    return to_tensor(Image.open(buffer))


VIEWS: dict[str, View] = {
    AS_IT_IS: as_it_is,
    "flip": flip,
    "crop 0.9": partial(crop, share=0.9),
    "crop 0.8": partial(crop, share=0.8),
    "jpeg 75": partial(jpeg, quality=75),
    "jpeg 50": partial(jpeg, quality=50),
    "half size": partial(shrink, share=0.5),
    "blur 0.5": partial(blur, sigma=0.5),
    "blur 1": partial(blur, sigma=1.0),
    "noise 0.05": partial(noise, sigma=0.05),
    "denoised": partial(total_variation, strength=0.1),
}
"""What needs no model; `purification.backbone_views` adds what a diffusion model makes of pictures."""

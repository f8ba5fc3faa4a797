"""Pictures that are not photographs, made from renders: pencil drawings and watercolours."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps


def pencil(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Graphite on paper: colour dodge of the inverted, blurred luminance, with grain."""
    gray = ImageOps.autocontrast(ImageOps.grayscale(image), cutoff=1)
    blurred = ImageOps.invert(gray).filter(ImageFilter.GaussianBlur(3.0))
    light = np.asarray(gray, np.float32)
    dodge = np.clip(light * 255 / np.maximum(256 - np.asarray(blurred, np.float32), 24), 0, 255)
    tone = 0.62 * dodge + 0.38 * (90 + 0.62 * light)
    tone += rng.normal(0, 5, tone.shape)
    paper = np.array([1.0, 0.985, 0.955], np.float32)
    return Image.fromarray(np.clip(tone[..., None] * paper, 0, 255).astype(np.uint8))


def watercolor(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Flat washes with soft edges and darker rims on textured paper."""
    washes = ImageOps.posterize(image.filter(ImageFilter.MedianFilter(3)), 4).filter(
        ImageFilter.MedianFilter(3)
    )
    washes = ImageEnhance.Color(ImageEnhance.Brightness(washes).enhance(1.2)).enhance(1.2)
    luminance = np.pad(np.asarray(ImageOps.grayscale(washes), np.float32), 1, mode="edge")
    slope = np.hypot(luminance[1:-1, 2:] - luminance[1:-1, :-2], luminance[2:, 1:-1] - luminance[:-2, 1:-1])
    painted = np.asarray(washes, np.float32) * (1 - np.clip(slope / 160, 0, 0.55))[..., None]
    texture = rng.normal(0, 1, (image.height // 2, image.width // 2)).astype(np.float32)
    texture = np.asarray(Image.fromarray(texture).resize(image.size, Image.Resampling.BICUBIC))
    lifted = 255 - (255 - painted) * (0.84 + 0.03 * texture[..., None])
    return Image.fromarray(np.clip(lifted, 0, 255).astype(np.uint8))


FILTERS = {"pencil": pencil, "watercolor": watercolor}

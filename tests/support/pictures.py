"""Pictures to work on where any will do."""

from __future__ import annotations

import numpy as np
from PIL import Image


def picture(seed: int = 0, width: int = 64, height: int = 64) -> Image.Image:
    """A smooth coloured picture that differs by seed."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)

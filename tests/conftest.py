"""What every test gets: no network, and a way to make a folder of photos."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"


def picture(seed: int = 0, width: int = 64, height: int = 64) -> Image.Image:
    """A smooth coloured picture that differs by seed."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def photo_folder(tmp_path: Path) -> Callable[..., Path]:
    """`photo_folder(count, size)`: a new folder of that many PNG photos."""

    def make(count: int, size: int = 64, name: str = "photos") -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        for index in range(count):
            picture(index, size, size).save(folder / f"{index:02d}.png")
        return folder

    return make

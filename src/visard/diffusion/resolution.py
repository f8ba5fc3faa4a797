"""The side of a model's pictures, read from its configuration: no weight is opened."""

from __future__ import annotations

from pathlib import Path

from visard.diffusion.folders import read_json

USUAL = 512
"""What Stable Diffusion 1.x and 2.x base models draw, where there is no configuration to ask yet."""


def resolution_of(folder: Path) -> int:
    """Pixels a side of the pictures of a diffusers folder. Raises ModelError."""
    unet, vae = (read_json(folder / part / "config.json") for part in ("unet", "vae"))
    return int(unet["sample_size"]) << (len(vae["block_out_channels"]) - 1)

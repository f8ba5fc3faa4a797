"""The side of a model's pictures, read from its configuration: no weight is opened."""

from __future__ import annotations

from pathlib import Path

from visard.diffusion.folders import read_json

USUAL = 512
"""What Stable Diffusion 1.x and 2.x base models draw, where there is no configuration to ask yet."""
LARGER = {"sd21-v": 768, "sdxl": 1024}
"""Aliases of models that draw more."""


def resolution_of(source: str | Path) -> int:
    """Pixels a side of a model's pictures; a guess for what is no diffusers folder. Raises ModelError."""
    folder = Path(source)
    if not (folder / "unet").is_dir():
        return LARGER.get(str(source), USUAL)
    unet, vae = (read_json(folder / part / "config.json") for part in ("unet", "vae"))
    return int(unet["sample_size"]) << (len(vae["block_out_channels"]) - 1)

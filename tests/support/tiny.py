"""A whole text-to-image model, random and small enough to be written and loaded in every test."""

from __future__ import annotations

from pathlib import Path

from visard.diffusion.blueprints import write_blueprint


def tiny_pipeline(folder: str | Path, prediction_type: str = "epsilon", seed: int = 0) -> Path:
    """Write a 32 px Stable Diffusion folder with random weights, under 200 000 parameters; returns it."""
    return write_blueprint("tiny", folder, prediction_type=prediction_type, seed=seed)

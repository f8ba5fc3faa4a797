"""A whole text-to-image model, random and small enough to be written and loaded in every test."""

from __future__ import annotations

from pathlib import Path

from visard.diffusion.blueprints import write_blueprint


def tiny_pipeline(folder: str | Path, prediction_type: str = "epsilon", seed: int = 0) -> Path:
    """Write a 32 px Stable Diffusion folder with random weights, under 200 000 parameters; returns it."""
    return write_blueprint("tiny", folder, prediction_type=prediction_type, seed=seed)


class Specials:
    """As much of CLIP's tokenizer as a configuration takes."""

    bos_token_id, eos_token_id, pad_token_id = 49406, 49407, 49407

    def __len__(self) -> int:
        return 49408

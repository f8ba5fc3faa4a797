"""Settings small enough to run every method in every test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from personalization.fakes import photos
from visard.diffusion.backbone import Backbone
from visard.protection.methods import METHODS
from visard.protection.run import Run
from visard.protection.settings import ProtectionSettings

TINY: dict[str, Any] = {
    "micro_batch": 2,
    "surrogate": {"learning_rate": 1e-3},
    "prior": {"count": 2, "sampler_steps": 2},
    "output": {"checkpoint_every": 0.0},
    "methods": {
        "fsmg": {"surrogate_steps": 2, "pgd_steps": 4},
        "aspl": {"rounds": 2, "surrogate_steps": 1, "pgd_steps": 2},
        "targeted-aspl": {"rounds": 2, "surrogate_steps": 1, "pgd_steps": 2},
        "simac": {"rounds": 2, "surrogate_steps": 1, "pgd_steps": 2, "probes": 2, "window": 200, "keep": 300},
        "anti-diffusion": {"epochs": 2, "prompt_steps": 1, "unet_steps": 1, "pgd_steps": 2, "map_side": 2},
        "advdm": {"steps": 4},
        "mist": {"steps": 4},
        "photoguard": {"steps": 4},
        "caat": {"steps": 4, "learning_rate": 1e-3},
    },
}
ASCENDING = [name for name in METHODS if name != "random"]
"""Methods that take projected-gradient steps."""


def settings(method: str, **changes: Any) -> ProtectionSettings:
    return ProtectionSettings(method=method).with_preset(TINY).with_preset(changes)


def start(backbone: Backbone, cache: Path, method: str, images: Tensor | None = None, **changes: Any) -> Run:
    """A run of two photos, whose surrogate learns from three others."""
    return Run(
        settings(method, **changes),
        photos(2) if images is None else images,
        backbone,
        clean=photos(3, seed=9),
        cache=cache,
    )

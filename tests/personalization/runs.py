"""A whole run small enough for every test, and a program to kill: `python runs.py BASE CACHE FOLDER`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from personalization.fakes import FakeDetector, photos, recognizer
from visard.diffusion.backbone import Backbone
from visard.personalization.personalize import Result, run
from visard.personalization.settings import (
    DecouplingSettings,
    FineTuningSettings,
    LoraSettings,
    OutputSettings,
    PersonalizationSettings,
    PriorSettings,
)

SETTINGS = PersonalizationSettings(
    fine_tuning=FineTuningSettings(steps=7, learning_rate=1e-3, batch=1, class_batch=1),
    lora=LoraSettings(rank=2, learning_rate=1e-2),
    prior=PriorSettings(count=2, sampler_steps=2),
    decoupling=DecouplingSettings(rounds=2, pgd_steps=3, rho=0.4, micro_batch=4),
    output=OutputSettings(checkpoint_every=0.0),
)
MOVES = 7 + 2 * 3


def with_decoupling(settings: PersonalizationSettings = SETTINGS, **changes: Any) -> PersonalizationSettings:
    return replace(settings, decoupling=replace(settings.decoupling, **changes))


def start(
    folder: Path,
    backbone: Backbone,
    cache: Path,
    settings: PersonalizationSettings = SETTINGS,
    **options: Any,
) -> Result:
    options.setdefault("surrogates", [recognizer(0), recognizer(1)])
    options.setdefault("detector", FakeDetector())
    return run(settings, options.pop("photos", photos()), backbone, folder=folder, cache=cache, **options)


def weights(result: Result) -> dict[str, Tensor]:
    """Every weight of a finished model."""
    if result.model.is_file():
        return load_file(result.model)
    files = sorted(result.model.rglob("*.safetensors"))
    return {f"{file.parent.name}/{name}": value for file in files for name, value in load_file(file).items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two models are the same to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def _say(stage: str, done: int, total: int, **figures: float) -> None:
    print(stage, done, flush=True)


if __name__ == "__main__":
    base, cache, folder = (Path(each) for each in sys.argv[1:])
    start(folder, Backbone.load(base), cache, progress=_say)

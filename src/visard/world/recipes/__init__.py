"""Recipes that rebuild every model of the embedded world from a seed: a file a kind, a row a model."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import nn

from visard.errors import InputError
from visard.faces.weights import load_weights
from visard.progress import Progress, silent
from visard.world.recipes.training import StepFunction, Trained, train


@dataclass(frozen=True)
class Job:
    """What a recipe is asked for: rendered splits in `data`, model and card into `out`, a budget, a seed.

    `steps` instead of `minutes` makes the result independent of the machine's speed.
    start: models of an earlier generation whose weights a training begins with, instead of chance.
    """

    data: Path
    out: Path
    minutes: float | None = None
    steps: int | None = None
    seed: int = 0
    device: str = "cpu"
    progress: Progress = silent
    start: Path | None = None

    @property
    def state_folder(self) -> Path:
        """Where unfinished trainings are kept between sittings."""
        return self.out / "states"

    def begin(self, network: nn.Module, file: str) -> None:
        """Give `network` the weights that `file` has among the models to start from, if there are any."""
        if self.start is not None:
            load_weights(network, self.start / file)

    def train(
        self, name: str, step: StepFunction, modules: Mapping[str, nn.Module], **options: Any
    ) -> Trained:
        """Train the model `name` within this job's budget; `options` go to `training.train`."""
        return train(
            step,
            modules,
            seed=self.seed,
            minutes=self.minutes,
            steps=self.steps,
            device=self.device,
            state_file=self.state_folder / f"{name}.safetensors",
            stage=name,
            progress=self.progress,
            **options,
        )


Recipe = Callable[[str, Job], dict[str, Any]]
"""Trains the named model, writes its file and card, and returns the scores measured on that file."""

RECIPES: dict[str, str] = {
    "autoencoder": "autoencoder",
    "decoder": "autoencoder",
    "text-to-image": "text_to_image",
    "irse": "recognizers",
    "ir": "recognizers",
    "mobileface": "recognizers",
    "facenet": "recognizers",
    "arcface": "recognizers",
    "adaface": "recognizers",
    "magface": "recognizers",
    "elasticface": "recognizers",
    "detector": "detector",
    "landmarks": "landmarks",
    "regressors": "regressors",
    "describer": "describer",
    "matcher": "matcher",
    "kit": "kit",
}
"""Model name -> the module of this folder whose `build` makes it."""


def build(name: str, job: Job) -> dict[str, Any]:
    """Run the recipe for `name`. Raises InputError for a name no recipe knows."""
    if name not in RECIPES:
        raise InputError(f"There is no recipe for '{name}'.", f"Choose one of: {', '.join(RECIPES)}.")
    module = importlib.import_module(f"{__name__}.{RECIPES[name]}")
    return cast(Recipe, module.build)(name, job)

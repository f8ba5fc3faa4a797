"""CAAT: photos ascend while the cross-attention's keys and values descend (Xu et al., CVPR 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from visard.budget import Budget
from visard.personalization.decoupling import Noise
from visard.personalization.fine_tuning import FineTuning
from visard.protection.method import Method, check_counts
from visard.protection.state import pack, unpack
from visard.protection.task import Task
from visard.settings import positive

TRAINED = ("attn2.to_k.", "attn2.to_v.")
"""What Custom Diffusion trains: names of layers that read the text."""


@dataclass(frozen=True)
class CaatOptions:
    """The numbers of the public code's script."""

    steps: int = 250
    learning_rate: float = 1e-5

    def __post_init__(self) -> None:
        check_counts(self)
        positive("learning_rate", self.learning_rate)


class Caat(Method):
    """One backward pass of the denoising loss moves both, each its own way; a round is a step."""

    title = "CAAT"
    paper = "Xu et al., Perturbing Attention Gives You More Bang for the Buck, CVPR 2024, arXiv 2404.15081"
    budget = Budget(radius=0.05, step=0.005)
    options_type = CaatOptions

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        options = task.options(self.options_type)
        self.rounds = self.steps = options.steps
        named = task.backbone.unet.named_parameters()
        self.parameters = {name: each for name, each in named if any(part in name for part in TRAINED)}
        self.pristine = {name: each.detach().clone() for name, each in self.parameters.items()}
        self.tuning = FineTuning(
            task.backbone,
            self.parameters,
            task.settings.surrogate,
            learning_rate=options.learning_rate,
            class_photos=None,
            generator=task.streams["fine-tuning"],
        )
        self.words = task.embed(task.prompts)

    def round(self, k: int, images: Tensor) -> Tensor:
        parameters = list(self.parameters.values())
        for parameter in parameters:
            parameter.requires_grad_(True)
        try:
            gradient, loss = self.task.ascent.gradient(images, self.objective, parameters)
            self.tuning.optimizer.step()
        finally:
            self.tuning.optimizer.zero_grad(set_to_none=True)
            for parameter in parameters:
                parameter.requires_grad_(False)
        self.task.tick(loss=loss)
        return self.task.budget.ascend(images, gradient, self.task.originals)

    def objective(self, images: Tensor, noise: Noise, rows: slice) -> Tensor:
        """The denoising loss, which the photos ascend and the keys and values descend."""
        return self.task.denoise(images, self.words[rows], noise).error

    def state(self) -> dict[str, Tensor]:
        weights, slots = self.tuning.state()
        return pack(weights=weights, slots=slots)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.tuning.restore(unpack("weights", state), unpack("slots", state))

    def close(self) -> None:
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(self.pristine[name])

"""Mist: AdvDM's loss and a pull towards a patterned picture's latent (Liang and Wu, 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from visard.budget import Budget
from visard.personalization.decoupling import Noise
from visard.protection.method import PlainAscent, StepCount
from visard.protection.task import Task


@dataclass(frozen=True)
class MistOptions(StepCount):
    """The paper's numbers."""

    steps: int = 100
    semantic_weight: float = 1e4 / (4 * 64 * 64)
    """Of the denoising loss. The paper's 1e4 goes with a sum over a latent of 4 x 64 x 64, here a mean."""


class Mist(PlainAscent):
    """The fused mode: semantic loss times its weight, less the textural loss."""

    title = "Mist"
    paper = "Liang and Wu, Mist, 2023, arXiv 2305.12683"
    budget = Budget.of(radius=16 / 255, step=1 / 255, pixel_range="[0,1]")
    has_target = True
    options_type = MistOptions
    options: MistOptions

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.words = task.embed(task.prompts)
        with torch.no_grad():
            self.target = task.backbone.encode(task.target[None]).mean

    def objective(self, images: Tensor, noise: Noise, rows: slice) -> Tensor:
        denoised = self.task.denoise(images, self.words[rows], noise)
        textural = (denoised.z0 - self.target).square().flatten(1).mean(1)
        return self.options.semantic_weight * denoised.error - textural

"""AdvDM: ascent of the denoising loss of the model as it is (Liang et al., ICML 2023, Algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from visard.budget import Budget
from visard.personalization.decoupling import Noise
from visard.protection.method import PlainAscent, StepCount
from visard.protection.task import Task


@dataclass(frozen=True)
class AdvdmOptions(StepCount):
    """The paper's number."""

    steps: int = 40


class Advdm(PlainAscent):
    """One draw of timestep and noise a step: a Monte Carlo estimate of the expected loss."""

    title = "AdvDM"
    paper = "Liang et al., Adversarial Example Does Good, ICML 2023, arXiv 2302.04578"
    budget = Budget.of(radius=8 / 255, step=2 / 255, pixel_range="[0,1]")
    options_type = AdvdmOptions

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.words = task.embed(task.prompts)

    def objective(self, images: Tensor, noise: Noise, rows: slice) -> Tensor:
        return self.task.denoise(images, self.words[rows], noise).error

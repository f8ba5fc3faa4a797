"""PhotoGuard's encoder attack: the latent becomes a grey picture's (Salman et al., ICML 2023, eq. 4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from visard.budget import Budget
from visard.personalization.decoupling import Noise
from visard.protection.method import PlainAscent, StepCount
from visard.protection.targets import grey
from visard.protection.task import Task


@dataclass(frozen=True)
class PhotoguardOptions(StepCount):
    """The paper's number."""

    steps: int = 200


class Photoguard(PlainAscent):
    """The encoder alone is attacked; what the UNet makes of it is not looked at."""

    title = "PhotoGuard (encoder attack)"
    paper = (
        "Salman et al., Raising the Cost of Malicious AI-Powered Image Editing, ICML 2023, arXiv 2302.06588"
    )
    budget = Budget.of(radius=16 / 255, step=2 / 255, pixel_range="[0,1]")
    options_type = PhotoguardOptions

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        with torch.no_grad():
            target = grey(task.originals.shape[-1]).to(task.originals)
            self.target = task.backbone.encode(target[None]).mean

    def objective(self, images: Tensor, noise: Noise, rows: slice) -> Tensor:
        latent = self.task.backbone.encode(images).mean
        return -(latent - self.target).square().flatten(1).mean(1)

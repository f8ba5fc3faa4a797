"""T-ASPL: ASPL that also draws the photos towards a target (Van Le et al., ICCV 2023, Section 4.4)."""

from __future__ import annotations

import torch
from torch import Tensor

from visard.diffusion.conditioning import Conditioning
from visard.personalization.decoupling import Noise
from visard.protection.aspl import Aspl
from visard.protection.task import Denoised, Task


class TargetedAspl(Aspl):
    """What is left after one denoising step should be the target, as noisy as it would be there."""

    title = "targeted ASPL (Anti-DreamBooth)"
    has_target = True

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        with torch.no_grad():
            self.target = task.backbone.encode(task.target[None]).mean

    def ascended(self, images: Tensor, words: Conditioning, noise: Noise, rows: slice) -> Tensor:
        """L_cond (b,) less the distance of the predicted z_t-1 from the target's."""
        denoised = self.task.denoise(images, words, noise)
        return denoised.error - self.distance(denoised, noise)

    def distance(self, denoised: Denoised, noise: Noise) -> Tensor:
        """Mean square (b,) between z_t-1 as the network predicts it and the target under the same noise.

        A step without randomness, where the public code's draws the variance of z_t-1 anew each time.
        """
        schedule = self.task.backbone.schedule
        before = (denoised.t - 1).clamp(min=0)  # the step from 0 ends at the least noise there is
        z0 = schedule.x0(denoised.zt, denoised.output, denoised.t)
        direction = schedule.noise(denoised.zt, denoised.output, denoised.t)
        predicted = schedule.add_noise(z0, direction, before)
        wanted = schedule.add_noise(self.target.expand_as(z0), noise.diffusion, before)
        return (predicted - wanted).square().flatten(1).mean(1)

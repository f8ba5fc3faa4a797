"""The projected-gradient loop that every method shares: x' <- Proj(x' + alpha sign(gradient))."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from visard.budget import Budget
from visard.errors import TrainingError
from visard.personalization.decoupling import Noise
from visard.precision import full_convolutions

Objective = Callable[[Tensor, Noise, slice], Tensor]
"""Photos (b, 3, H, W), their noise, and which of all photos they are, to what is ascended (b,)."""


class Ascent:
    """Sign ascent of an objective on photos (B, 3, H, W) in [-1, 1], inside `budget`'s ball.

    `draw` gives the noise of one step for so many photos; `watch` is told the mean loss after every step.
    """

    def __init__(
        self,
        budget: Budget,
        *,
        micro_batch: int,
        draw: Callable[[int], Noise],
        watch: Callable[[float], None],
    ) -> None:
        self.budget, self.micro_batch, self.draw, self.watch = budget, micro_batch, draw, watch

    def __call__(self, images: Tensor, centre: Tensor, objective: Objective, steps: int) -> Tensor:
        """The photos after `steps` projected steps. Raises TrainingError when a gradient is no number."""
        for _ in range(steps):
            gradient, loss = self.gradient(images, objective)
            images = self.budget.ascend(images, gradient, centre)
            self.watch(loss)
        return images

    def gradient(
        self, images: Tensor, objective: Objective, parameters: Sequence[nn.Parameter] = ()
    ) -> tuple[Tensor, float]:
        """Gradient of each photo's own loss with respect to that photo, and the mean loss.

        `parameters` get the gradient of the mean loss added to theirs in the same backward pass.
        """
        noise = self.draw(len(images))
        gradient, loss = torch.zeros_like(images), 0.0
        for start in range(0, len(images), self.micro_batch):
            rows = slice(start, start + self.micro_batch)
            leaf = images[rows].detach().requires_grad_(True)
            losses = objective(leaf, part(noise, rows), rows)
            with full_convolutions():
                found = torch.autograd.grad(losses.sum(), [leaf, *parameters])
            gradient[rows] = found[0]
            for parameter, each in zip(parameters, found[1:], strict=True):
                share = each / len(images)
                parameter.grad = share if parameter.grad is None else parameter.grad + share
            loss += float(losses.detach().sum()) / len(images)
        if not torch.isfinite(gradient).all():
            raise TrainingError(
                "Protecting stopped: the gradient of the photos is not a number.",
                'Set surrogate.precision = "fp32" or lower its learning rate, and start again.',
            )
        return gradient, loss


def part(noise: Noise, rows: slice) -> Noise:
    """The noise of some of the photos."""
    return Noise(noise.posterior[rows], noise.diffusion[rows], noise.uniform[rows])

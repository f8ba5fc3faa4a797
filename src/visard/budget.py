"""What a perturbation may do: one budget shared by every method that perturbs photos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

PixelRange = Literal["[-1,1]", "[0,1]"]
LOW, HIGH = -1.0, 1.0
"""The range of picture tensors."""
LEVEL = (HIGH - LOW) / 255
"""From one level of 8-bit files to the next."""


@dataclass(frozen=True)
class Budget:
    """An l-infinity ball and the step taken inside it, both in units of picture tensors, range [-1, 1]."""

    radius: float
    step: float

    @classmethod
    def of(cls, radius: float, step: float, pixel_range: PixelRange = "[-1,1]") -> Budget:
        """A budget given in units of `pixel_range`: a step in [0, 1] is twice as long in [-1, 1]."""
        scale = 2.0 if pixel_range == "[0,1]" else 1.0
        return cls(radius=scale * radius, step=scale * step)

    def project(self, images: Tensor, centre: Tensor) -> Tensor:
        """The nearest pictures to `images` in the ball around `centre` and the image range (eqs. 9, 14)."""
        return images.clamp(centre - self.radius, centre + self.radius).clamp(LOW, HIGH)

    def descend(self, images: Tensor, gradient: Tensor, centre: Tensor) -> Tensor:
        """One projected sign-descent step: Proj(x' - alpha sign(gradient)), Algorithm 1 lines 9 and 11."""
        return self.project(images - self.step * gradient.sign(), centre)

    def ascend(self, images: Tensor, gradient: Tensor, centre: Tensor) -> Tensor:
        """One projected sign-ascent step: Proj(x' + alpha sign(gradient))."""
        return self.descend(images, -gradient, centre)

    def random_signs(self, centre: Tensor, generator: torch.Generator) -> Tensor:
        """Noise as large as the ball allows and without any aim: each value is `radius` up or down."""
        signs = torch.randint(2, centre.shape, generator=generator).to(centre) * 2 - 1
        return self.project(centre + self.radius * signs, centre)

    @property
    def levels(self) -> int:
        """How many levels of 8-bit files the radius spans."""
        return int(255 / (HIGH - LOW) * self.radius + 1e-6)

    def in_levels(self, images: Tensor, centre: Tensor) -> Tensor:
        """`images` at the 256 levels of 8-bit files, still in the ball around `centre`, itself at levels."""
        steps = (255 / (HIGH - LOW)) * (images - centre)
        return self.project(centre + steps.round().clamp(-self.levels, self.levels) * LEVEL, centre)

"""The losses that train recognisers: a cosine classifier with the margin each paper puts on the true class.

Each takes embeddings (B, D) as the network gives them, labels (B,) and a `ramp` in [0, 1] that scales the
margin: short trainings start without one, because a margin asked of random features is only noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NormalizedSoftmax(nn.Module):
    """Softmax over scaled cosines (NormFace, Wang et al. 2017); the others change the true class's logit."""

    def __init__(self, classes: int, dimension: int, scale: float = 64.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(F.normalize(torch.randn(classes, dimension)))
        self.scale = scale

    def forward(
        self, embeddings: Tensor, labels: Tensor, ramp: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Mean loss, and accuracy without any margin. In float32: bfloat16 has but 3 digits of a cosine."""
        with torch.autocast(embeddings.device.type, enabled=False):
            embeddings = embeddings.float()
            lengths = embeddings.norm(dim=1).clamp_min(1e-6)
            cosines = (embeddings / lengths[:, None]) @ F.normalize(self.weight).T
            true = cosines.gather(1, labels[:, None]).squeeze(1)
            changed = self.with_margin(true, lengths, ramp, generator)
            logits = self.scale * cosines.scatter(1, labels[:, None], changed[:, None])
            loss = F.cross_entropy(logits, labels) + self.regularizer(lengths)
            return loss, (cosines.argmax(1) == labels).float().mean()

    def with_margin(self, true: Tensor, lengths: Tensor, ramp: float, generator: torch.Generator) -> Tensor:
        """The true class's cosines (B,) made harder, given the embeddings' lengths (B,)."""
        return true

    def regularizer(self, lengths: Tensor) -> Tensor:
        """What the loss asks of the lengths (B,): nothing, unless it reads quality from them."""
        return lengths.new_zeros(())


class CosFace(NormalizedSoftmax):
    """cos(theta) - m (Wang et al. 2018, eq. 4)."""

    def __init__(self, classes: int, dimension: int, scale: float = 64.0, margin: float = 0.35) -> None:
        super().__init__(classes, dimension, scale)
        self.margin = margin

    def with_margin(self, true: Tensor, lengths: Tensor, ramp: float, generator: torch.Generator) -> Tensor:
        return true - ramp * self.margin


class ArcFace(NormalizedSoftmax):
    """cos(theta + m) (Deng et al. 2019, eq. 3)."""

    def __init__(self, classes: int, dimension: int, scale: float = 64.0, margin: float = 0.5) -> None:
        super().__init__(classes, dimension, scale)
        self.margin = margin

    def with_margin(self, true: Tensor, lengths: Tensor, ramp: float, generator: torch.Generator) -> Tensor:
        return add_angle(true, torch.full_like(true, ramp * self.margin))


class AdaFace(NormalizedSoftmax):
    """Hard pictures count where quality, read from the length, is high (Kim et al. 2022, eqs. 13-15)."""

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        classes: int,
        dimension: int,
        scale: float = 64.0,
        margin: float = 0.4,
        concentration: float = 0.333,
        momentum: float = 0.99,
    ) -> None:
        super().__init__(classes, dimension, scale)
        self.margin, self.concentration, self.momentum = margin, concentration, momentum
        self.register_buffer("mean", torch.tensor(20.0))
        self.register_buffer("deviation", torch.tensor(100.0))

    def with_margin(self, true: Tensor, lengths: Tensor, ramp: float, generator: torch.Generator) -> Tensor:
        lengths = lengths.detach().clamp(1e-3, 100.0)
        self.mean.lerp_(lengths.mean(), 1 - self.momentum)
        self.deviation.lerp_(lengths.std(), 1 - self.momentum)
        quality = (self.concentration * (lengths - self.mean) / (self.deviation + 1e-3)).clamp(-1, 1)
        margin = ramp * self.margin
        return add_angle(true, -margin * quality) - (margin * quality + margin)


class MagFace(NormalizedSoftmax):
    """A margin that grows with the length, and a pull to great lengths (Meng et al. 2021, eqs. 3-5).

    The paper's bounds on the length, 10 and 110, are for 512 dimensions; they scale with the root of that.
    """

    def __init__(
        self,
        classes: int,
        dimension: int,
        scale: float = 64.0,
        lengths: tuple[float, float] = (10.0, 110.0),
        margins: tuple[float, float] = (0.45, 0.8),
        weight: float = 35.0,
    ) -> None:
        super().__init__(classes, dimension, scale)
        root = math.sqrt(dimension / 512)
        self.shortest, self.longest = lengths[0] * root, lengths[1] * root
        self.least, self.most = margins
        self.regularizer_weight = weight

    def with_margin(self, true: Tensor, lengths: Tensor, ramp: float, generator: torch.Generator) -> Tensor:
        share = (lengths.clamp(self.shortest, self.longest) - self.shortest) / (self.longest - self.shortest)
        return add_angle(true, ramp * (self.least + (self.most - self.least) * share))

    def regularizer(self, lengths: Tensor) -> Tensor:
        lengths = lengths.clamp(self.shortest, self.longest)
        return self.regularizer_weight * (1 / lengths + lengths / self.longest**2).mean()


class ElasticFace(NormalizedSoftmax):
    """cos(theta + m), m drawn anew for every picture from a normal one (Boutros et al. 2022, eq. 4)."""

    def __init__(
        self, classes: int, dimension: int, scale: float = 64.0, margin: float = 0.5, deviation: float = 0.05
    ) -> None:
        super().__init__(classes, dimension, scale)
        self.margin, self.deviation = margin, deviation

    def with_margin(self, true: Tensor, lengths: Tensor, ramp: float, generator: torch.Generator) -> Tensor:
        noise = torch.randn(true.shape, generator=generator).to(true.device)
        return add_angle(true, ramp * (self.margin + self.deviation * noise))


def add_angle(cosines: Tensor, angles: Tensor) -> Tensor:
    """cos(theta + angle), the sum kept inside [0, pi] where the cosine falls."""
    theta = torch.acos(cosines.clamp(-1 + 1e-4, 1 - 1e-4))  # the slope of acos is infinite at the ends
    return torch.cos((theta + angles).clamp(1e-3, math.pi - 1e-3))


LOSSES: dict[str, Callable[..., NormalizedSoftmax]] = {
    "normalized_softmax": NormalizedSoftmax,
    "cosface": CosFace,
    "arcface": ArcFace,
    "adaface": AdaFace,
    "magface": MagFace,
    "elasticface": ElasticFace,
}

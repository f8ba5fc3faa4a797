"""Inception-ResNet-v1 (Szegedy et al. 2017) as FaceNet uses it (Schroff et al. 2015).

Key names are those of the published VGGFace2 file: `conv2d_1a.conv`, `repeat_1.0.branch0`, `last_linear`,
`logits`. Every width is the published one times `width`, so that the reduced member is the same graph.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PUBLISHED_UNITS = (5, 10, 5)
SMALLEST_INPUT = 75  # below it the last down-sampling unit has nothing left to reduce


class ConvUnit(nn.Module):
    """Convolution, BatchNorm, ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int] = 1,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu(self.bn(self.conv(x)))
        return y


class InceptionResidual(nn.Module):
    """x + scale * conv(concatenated branches), rectified unless `linear`."""

    def __init__(
        self, branches: Sequence[nn.Module], merged: int, width: int, scale: float, *, linear: bool = False
    ) -> None:
        super().__init__()
        for index, branch in enumerate(branches):
            self.add_module(f"branch{index}", branch)
        self.branches = len(branches)
        self.conv2d = nn.Conv2d(merged, width, 1)
        self.scale = scale
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        joined = torch.cat([self.get_submodule(f"branch{index}")(x) for index in range(self.branches)], 1)
        y: Tensor = x + self.scale * self.conv2d(joined)
        return y if self.linear else F.relu(y)


class Reduction(nn.Module):
    """Parallel strided branches and a max-pooling branch, concatenated: halves the picture."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        for index, branch in enumerate([*branches, nn.MaxPool2d(3, 2)]):
            self.add_module(f"branch{index}", branch)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.children()], 1)


def _block35(width: int, inner: int) -> InceptionResidual:
    branches = [
        ConvUnit(width, inner),
        nn.Sequential(ConvUnit(width, inner), ConvUnit(inner, inner, 3, 1, 1)),
        nn.Sequential(
            ConvUnit(width, inner), ConvUnit(inner, inner, 3, 1, 1), ConvUnit(inner, inner, 3, 1, 1)
        ),
    ]
    return InceptionResidual(branches, 3 * inner, width, 0.17)


def _separable(width: int, inner: int, length: int) -> list[nn.Module]:
    half = length // 2
    return [
        ConvUnit(width, inner),
        nn.Sequential(
            ConvUnit(width, inner),
            ConvUnit(inner, inner, (1, length), 1, (0, half)),
            ConvUnit(inner, inner, (length, 1), 1, (half, 0)),
        ),
    ]


def _block17(width: int, inner: int) -> InceptionResidual:
    return InceptionResidual(_separable(width, inner, 7), 2 * inner, width, 0.10)


def _block8(width: int, inner: int, scale: float = 0.20, *, linear: bool = False) -> InceptionResidual:
    return InceptionResidual(_separable(width, inner, 3), 2 * inner, width, scale, linear=linear)


class InceptionResnetV1(nn.Module):
    """(B, 3, S, S), S >= 75 -> (B, D), not normalised; global pooling makes the weights independent of S.

    `classes` adds the classification layer the published file carries (8631); the embedding does not use it.
    """

    def __init__(
        self,
        *,
        input_size: int = 160,
        embedding_dim: int = 512,
        width: float = 1.0,
        units: Sequence[int] = PUBLISHED_UNITS,
        dropout: float = 0.6,
        classes: int | None = None,
    ) -> None:
        super().__init__()
        if input_size < SMALLEST_INPUT:
            raise ValueError(
                f"inception_resnet needs pictures of at least {SMALLEST_INPUT} px, not {input_size}"
            )

        def w(channels: int) -> int:
            return max(8, round(channels * width / 8) * 8)

        mid = w(256)
        wide = w(384) + w(256) + mid
        widest = w(384) + 2 * w(256) + wide
        self.conv2d_1a = ConvUnit(3, w(32), 3, 2)
        self.conv2d_2a = ConvUnit(w(32), w(32), 3)
        self.conv2d_2b = ConvUnit(w(32), w(64), 3, 1, 1)
        self.maxpool_3a = nn.MaxPool2d(3, 2)
        self.conv2d_3b = ConvUnit(w(64), w(80))
        self.conv2d_4a = ConvUnit(w(80), w(192), 3)
        self.conv2d_4b = ConvUnit(w(192), mid, 3, 2)
        self.repeat_1 = nn.Sequential(*(_block35(mid, w(32)) for _ in range(units[0])))
        self.mixed_6a = Reduction(
            [
                ConvUnit(mid, w(384), 3, 2),
                nn.Sequential(
                    ConvUnit(mid, w(192)), ConvUnit(w(192), w(192), 3, 1, 1), ConvUnit(w(192), w(256), 3, 2)
                ),
            ]
        )
        self.repeat_2 = nn.Sequential(*(_block17(wide, w(128)) for _ in range(units[1])))
        self.mixed_7a = Reduction(
            [
                nn.Sequential(ConvUnit(wide, w(256)), ConvUnit(w(256), w(384), 3, 2)),
                nn.Sequential(ConvUnit(wide, w(256)), ConvUnit(w(256), w(256), 3, 2)),
                nn.Sequential(
                    ConvUnit(wide, w(256)), ConvUnit(w(256), w(256), 3, 1, 1), ConvUnit(w(256), w(256), 3, 2)
                ),
            ]
        )
        self.repeat_3 = nn.Sequential(*(_block8(widest, w(192)) for _ in range(units[2])))
        self.block8 = _block8(widest, w(192), 1.0, linear=True)
        self.avgpool_1a = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.last_linear = nn.Linear(widest, embedding_dim, bias=False)
        self.last_bn = nn.BatchNorm1d(embedding_dim, eps=1e-3)
        if classes is not None:
            self.logits = nn.Linear(embedding_dim, classes)

    @property
    def dropout_rate(self) -> float:
        return self.dropout.p

    def trunk(self, x: Tensor) -> Tensor:
        """What the dropout is given."""
        x = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(x)))
        x = self.conv2d_4b(self.conv2d_4a(self.conv2d_3b(self.maxpool_3a(x))))
        x = self.mixed_6a(self.repeat_1(x))
        x = self.mixed_7a(self.repeat_2(x))
        y: Tensor = self.avgpool_1a(self.block8(self.repeat_3(x))).flatten(1)
        return y

    def readout(self, x: Tensor) -> Tensor:
        """From what the dropout leaves to the embedding."""
        y: Tensor = self.last_bn(self.last_linear(x))
        return y

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.dropout(self.trunk(x)))

"""IR and IR-SE: pre-activated residual units (Deng et al. 2019), plain or with SE (Hu et al. 2018).

Key names are those of the published IR-SE-50 and IR-152 files: `input_layer.0`, `body.N.res_layer.M`,
`output_layer.3`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypedDict

from torch import Tensor, nn

if TYPE_CHECKING:
    from typing_extensions import Unpack

PUBLISHED_WIDTHS = (64, 128, 256, 512)
IRSE50_UNITS = (3, 4, 14, 3)
IR152_UNITS = (3, 8, 36, 3)


class SqueezeExcitation(nn.Module):
    """Scales each channel by a gate computed from the channel means: (B, C, H, W) -> same."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, channels // reduction, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(channels // reduction, channels, 1, bias=False)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.sigmoid(self.fc2(self.relu(self.fc1(self.avg_pool(x)))))
        return x * gate


class ResidualUnit(nn.Module):
    """BN-conv-PReLU-conv-BN (then SE) beside a shortcut; the second convolution carries the stride.

    inner_norm: a BatchNorm before the PReLU, as AdaFace has it.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        *,
        reduction: int | None = None,
        inner_norm: bool = False,
    ) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module
        if inputs == outputs:
            self.shortcut_layer = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            *([nn.BatchNorm2d(outputs)] if inner_norm else []),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            *([] if reduction is None else [SqueezeExcitation(outputs, reduction)]),
        )

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.res_layer(x)
        shortcut: Tensor = self.shortcut_layer(x)
        return residual + shortcut


class Shape(TypedDict, total=False):
    """What published and reduced members differ in; the defaults are those of `ResidualNetwork`."""

    input_size: int
    embedding_dim: int
    widths: Sequence[int]
    stem_width: int | None
    stem_stride: int


class ResidualNetwork(nn.Module):
    """What IR and AdaFace's IR share: a stem, units, and dropout before the linear layer.

    unit: (inputs, outputs, stride) -> a residual unit; affine: whether the last BatchNorm has parameters.
    """

    def __init__(
        self,
        unit: Callable[[int, int, int], nn.Module],
        *,
        units: Sequence[int],
        dropout: float,
        affine: bool = True,
        input_size: int = 112,
        embedding_dim: int = 512,
        widths: Sequence[int] = PUBLISHED_WIDTHS,
        stem_width: int | None = None,
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        stem = widths[0] if stem_width is None else stem_width
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, stem, 3, stem_stride, 1, bias=False), nn.BatchNorm2d(stem), nn.PReLU(stem)
        )
        body: list[nn.Module] = []
        inputs = stem
        for width, count in zip(widths, units, strict=True):
            for index in range(count):
                body.append(unit(inputs, width, 2 if index == 0 else 1))
                inputs = width
        self.body = nn.Sequential(*body)
        side = input_size // (stem_stride * 2 ** len(units))
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(inputs * side * side, embedding_dim),
            nn.BatchNorm1d(embedding_dim, affine=affine),
        )

    @property
    def dropout_rate(self) -> float:
        dropout: nn.Dropout = self.output_layer[1]  # type: ignore[assignment]
        return dropout.p

    def trunk(self, x: Tensor) -> Tensor:
        """What the dropout is given."""
        y: Tensor = self.output_layer[0](self.body(self.input_layer(x)))
        return y

    def readout(self, x: Tensor) -> Tensor:
        """From what the dropout leaves to the embedding, not normalised."""
        y: Tensor = self.output_layer[2:](x)
        return y

    def embedding(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, D), not normalised."""
        return self.readout(self.output_layer[1](self.trunk(x)))


class IR(ResidualNetwork):
    """(B, 3, S, S) -> (B, D), not normalised. S must be divisible by the total stride.

    The defaults are IR-152; a `reduction` (16 as published) makes it IR-SE.
    """

    def __init__(
        self,
        *,
        units: Sequence[int] = IR152_UNITS,
        dropout: float = 0.5,
        reduction: int | None = None,
        **shape: Unpack[Shape],
    ) -> None:
        unit = partial(ResidualUnit, reduction=reduction)
        super().__init__(unit, units=units, dropout=dropout, **shape)

    def forward(self, x: Tensor) -> Tensor:
        return self.embedding(x)

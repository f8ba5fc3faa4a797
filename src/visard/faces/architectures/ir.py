"""IR and IR-SE: pre-activated residual units (Deng et al. 2019), plain or with SE (Hu et al. 2018).

Key names are those of the published IR-SE-50 and IR-152 files: `input_layer.0`, `body.N.res_layer.M`,
`output_layer.3`.
"""

from collections.abc import Sequence

from torch import Tensor, nn

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
    """BN-conv-PReLU-conv-BN (then SE) beside a shortcut; the second convolution carries the stride."""

    def __init__(self, inputs: int, outputs: int, stride: int, reduction: int | None) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module
        if inputs == outputs:
            self.shortcut_layer = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        layers: list[nn.Module] = [
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        if reduction is not None:
            layers.append(SqueezeExcitation(outputs, reduction))
        self.res_layer = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.res_layer(x)
        shortcut: Tensor = self.shortcut_layer(x)
        return residual + shortcut


class IR(nn.Module):
    """(B, 3, S, S) -> (B, D), not normalised. S must be divisible by the total stride.

    The defaults are IR-152; a `reduction` (16 as published) makes it IR-SE.
    """

    def __init__(
        self,
        *,
        input_size: int = 112,
        embedding_dim: int = 512,
        widths: Sequence[int] = PUBLISHED_WIDTHS,
        units: Sequence[int] = IR152_UNITS,
        stem_width: int | None = None,
        stem_stride: int = 1,
        dropout: float = 0.5,
        reduction: int | None = None,
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
                body.append(ResidualUnit(inputs, width, 2 if index == 0 else 1, reduction))
                inputs = width
        self.body = nn.Sequential(*body)
        side = input_size // (stem_stride * 2 ** len(units))
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(inputs * side * side, embedding_dim),
            nn.BatchNorm1d(embedding_dim),
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
        """From what the dropout leaves to the embedding."""
        y: Tensor = self.output_layer[2:](x)
        return y

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.output_layer[1](self.trunk(x)))

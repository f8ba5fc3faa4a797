"""AdaFace's IR (Kim et al. 2022): an extra BatchNorm before each PReLU; returns the direction and the length.

Key names are those of the published files (without their Lightning prefix): `input_layer.0`,
`body.N.res_layer.M`, `output_layer.3`. The extra BatchNorm shifts M, so these files do not load as `ir`.
"""

from collections.abc import Sequence

from torch import Tensor, nn

PUBLISHED_WIDTHS = (64, 128, 256, 512)
IR18_UNITS = (2, 2, 2, 2)
IR50_UNITS = (3, 4, 14, 3)
IR101_UNITS = (3, 13, 30, 3)


class ResidualUnit(nn.Module):
    """BN-conv-BN-PReLU-conv-BN beside a shortcut; the second convolution carries the stride."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
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
            nn.BatchNorm2d(outputs),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.res_layer(x)
        shortcut: Tensor = self.shortcut_layer(x)
        return residual + shortcut


class AdaFaceIR(nn.Module):
    """(B, 3, S, S) -> unit embedding (B, D) and its former length (B, 1), AdaFace's picture quality.

    S must be divisible by the total stride. The defaults are IR-50.
    """

    def __init__(
        self,
        *,
        input_size: int = 112,
        embedding_dim: int = 512,
        widths: Sequence[int] = PUBLISHED_WIDTHS,
        units: Sequence[int] = IR50_UNITS,
        stem_width: int | None = None,
        stem_stride: int = 1,
        dropout: float = 0.4,
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
                body.append(ResidualUnit(inputs, width, 2 if index == 0 else 1))
                inputs = width
        self.body = nn.Sequential(*body)
        side = input_size // (stem_stride * 2 ** len(units))
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(inputs * side * side, embedding_dim),
            nn.BatchNorm1d(embedding_dim, affine=False),
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

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        raw = self.readout(self.output_layer[1](self.trunk(x)))
        norm = raw.norm(dim=1, keepdim=True).clamp_min(1e-12)
        return raw / norm, norm

"""MobileFaceNet (Chen et al. 2018) as insightface's PyTorch code lays it out: wider, and named by number.

Key names are those of its backbone.pth: `layers.N.layers.M`, `conv_sep.layers.M`, `features.layers.M`. The
second convolution has groups of two channels rather than one, which is how those files were trained.
"""

from collections.abc import Sequence

from torch import Tensor, nn

PUBLISHED_WIDTHS = (128, 128, 256, 256)
PUBLISHED_UNITS = (4, 6, 2)
PUBLISHED_EXPANSIONS = (128, 256, 512)
STEM_GROUPS = 64


class Layers(nn.Module):
    """Modules one after the other, under the name `layers`."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


class Residual(Layers):
    """Adds its input to what its layers make of it."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


def _conv(
    inputs: int,
    outputs: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    *,
    padding: int | None = None,
    linear: bool = False,
) -> Layers:
    """Convolution, BatchNorm and (unless linear) PReLU."""
    padding = kernel // 2 if padding is None else padding
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    return Layers(conv, nn.BatchNorm2d(outputs), *([] if linear else [nn.PReLU(outputs)]))


def _inverted(inputs: int, outputs: int, expansion: int, stride: int) -> tuple[nn.Module, ...]:
    """Expand 1x1, depthwise 3x3, project 1x1."""
    return (
        _conv(inputs, expansion),
        _conv(expansion, expansion, 3, stride, expansion),
        _conv(expansion, outputs, linear=True),
    )


class LayeredMobileFaceNet(nn.Module):
    """(B, 3, S, S) -> (B, D), not normalised. S must be divisible by 16.

    `widths` are those of the stem and the three stages; a stage's units are `expansions` wide inside, but the
    last as wide as those before it (as published).
    """

    def __init__(
        self,
        *,
        input_size: int = 112,
        embedding_dim: int = 512,
        widths: Sequence[int] = PUBLISHED_WIDTHS,
        units: Sequence[int] = PUBLISHED_UNITS,
        expansions: Sequence[int] = PUBLISHED_EXPANSIONS,
        stem_groups: int = STEM_GROUPS,
        head_width: int = 512,
    ) -> None:
        super().__init__()
        inputs = widths[0]
        layers: list[nn.Module] = [_conv(3, inputs, 3, 2), _conv(inputs, inputs, 3, 1, stem_groups)]
        inside = (expansions[0], expansions[1], expansions[1])
        for width, count, into, within in zip(widths[1:], units, expansions, inside, strict=True):
            layers.append(Layers(*_inverted(inputs, width, into, 2)))
            layers.append(Layers(*(Residual(*_inverted(width, width, within, 1)) for _ in range(count))))
            inputs = width
        self.layers = nn.ModuleList(layers)
        self.conv_sep = _conv(inputs, head_width)
        self.features = Layers(
            _conv(head_width, head_width, input_size // 16, groups=head_width, padding=0, linear=True),
            nn.Flatten(),
            nn.Linear(head_width, embedding_dim, bias=False),
            nn.BatchNorm1d(embedding_dim),
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        embedding: Tensor = self.features(self.conv_sep(x))
        return embedding

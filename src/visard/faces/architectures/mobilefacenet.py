"""MobileFaceNet (Chen et al. 2018): inverted residuals and a global depthwise convolution.

Key names are those of the published file: `conv1.conv`, `conv_23.conv_dw.bn`, `linear`, `bn`.
"""

from collections.abc import Sequence

from torch import Tensor, nn

PUBLISHED_WIDTHS = (64, 64, 128, 128)
PUBLISHED_EXPANSIONS = (128, 256, 512)
PUBLISHED_UNITS = (4, 6, 2)


class ConvUnit(nn.Module):
    """Convolution, BatchNorm and (unless linear) PReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        *,
        linear: bool = False,
        eps: float,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=eps)
        if not linear:
            self.prelu = nn.PReLU(outputs)
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return x if self.linear else self.prelu(x)


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise 3x3, project 1x1; adds its input when `residual`."""

    def __init__(
        self, inputs: int, outputs: int, expansion: int, stride: int, *, residual: bool, eps: float
    ) -> None:
        super().__init__()
        self.conv = ConvUnit(inputs, expansion, eps=eps)
        self.conv_dw = ConvUnit(expansion, expansion, 3, stride, 1, expansion, eps=eps)
        self.project = ConvUnit(expansion, outputs, linear=True, eps=eps)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.conv_dw(self.conv(x)))
        return x + y if self.residual else y


class Residuals(nn.Module):
    """A run of inverted residuals of one width (the published files call it `model`)."""

    def __init__(self, width: int, expansion: int, count: int, eps: float) -> None:
        super().__init__()
        units = [InvertedResidual(width, width, expansion, 1, residual=True, eps=eps) for _ in range(count)]
        self.model = nn.Sequential(*units)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x)
        return y


class MobileFaceNet(nn.Module):
    """(B, 3, S, S) -> (B, D), not normalised. S must be divisible by 16.

    `widths` are those of the stem and the three stages, `expansions` those inside the three down-sampling
    units. A stage's own units are half as wide inside as the down-sampling unit after it (as published).
    """

    def __init__(
        self,
        *,
        input_size: int = 112,
        embedding_dim: int = 512,
        widths: Sequence[int] = PUBLISHED_WIDTHS,
        units: Sequence[int] = PUBLISHED_UNITS,
        expansions: Sequence[int] = PUBLISHED_EXPANSIONS,
        head_width: int = 512,
        eps: float = 1e-5,
        eps_embedding: float = 1e-5,
    ) -> None:
        super().__init__()
        stem, first, second, third = widths
        into_first, into_second, into_third = expansions
        self.conv1 = ConvUnit(3, stem, 3, 2, 1, eps=eps)
        self.conv2_dw = ConvUnit(stem, stem, 3, 1, 1, stem, eps=eps)
        self.conv_23 = InvertedResidual(stem, first, into_first, 2, residual=False, eps=eps)
        self.conv_3 = Residuals(first, into_second // 2, units[0], eps)
        self.conv_34 = InvertedResidual(first, second, into_second, 2, residual=False, eps=eps)
        self.conv_4 = Residuals(second, into_third // 2, units[1], eps)
        self.conv_45 = InvertedResidual(second, third, into_third, 2, residual=False, eps=eps)
        self.conv_5 = Residuals(third, into_third // 2, units[2], eps)
        self.conv_6_sep = ConvUnit(third, head_width, eps=eps)
        self.conv_6_dw = ConvUnit(
            head_width, head_width, input_size // 16, groups=head_width, linear=True, eps=eps
        )
        self.conv_6_flatten = nn.Flatten()
        self.linear = nn.Linear(head_width, embedding_dim, bias=False)
        self.bn = nn.BatchNorm1d(embedding_dim, eps=eps_embedding)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_23(self.conv2_dw(self.conv1(x)))
        x = self.conv_34(self.conv_3(x))
        x = self.conv_45(self.conv_4(x))
        x = self.conv_6_dw(self.conv_6_sep(self.conv_5(x)))
        embedding: Tensor = self.bn(self.linear(self.conv_6_flatten(x)))
        return embedding

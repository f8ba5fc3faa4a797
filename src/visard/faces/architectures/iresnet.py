"""iResNet: backbone of ArcFace (Deng et al. 2019), MagFace (Meng et al. 2021), ElasticFace (Boutros 2022).

Key names are those of the published files: `conv1, bn1, prelu, layer1..layer4, bn2, fc, features`.
"""

from collections.abc import Sequence

from torch import Tensor, nn

PUBLISHED_WIDTHS = (64, 128, 256, 512)
R50_UNITS = (3, 4, 14, 3)
R100_UNITS = (3, 13, 30, 3)


class Block(nn.Module):
    """BN-conv-BN-PReLU-conv-BN plus the input; the second convolution carries the stride."""

    def __init__(self, inputs: int, outputs: int, stride: int, eps: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs, eps=eps)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs, eps=eps)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs, eps=eps)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs, eps=eps)
            )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        y = self.bn3(self.conv2(y))
        return y + (x if self.downsample is None else self.downsample(x))


class IResNet(nn.Module):
    """(B, 3, S, S) -> (B, D), not normalised: MagFace reads a picture's quality from the length.

    S must be divisible by the total stride. The defaults are iResNet-50.
    """

    def __init__(
        self,
        *,
        input_size: int = 112,
        embedding_dim: int = 512,
        widths: Sequence[int] = PUBLISHED_WIDTHS,
        units: Sequence[int] = R50_UNITS,
        stem_width: int | None = None,
        stem_stride: int = 1,
        dropout: float = 0.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        stem = widths[0] if stem_width is None else stem_width
        self.conv1 = nn.Conv2d(3, stem, 3, stem_stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem, eps=eps)
        self.prelu = nn.PReLU(stem)
        self.stages = len(units)
        inputs = stem
        for stage, (width, count) in enumerate(zip(widths, units, strict=True), start=1):
            first = Block(inputs, width, 2, eps)
            others = [Block(width, width, 1, eps) for _ in range(count - 1)]
            self.add_module(f"layer{stage}", nn.Sequential(first, *others))
            inputs = width
        side = input_size // (stem_stride * 2**self.stages)
        self.bn2 = nn.BatchNorm2d(inputs, eps=eps)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(inputs * side * side, embedding_dim)
        self.features = nn.BatchNorm1d(embedding_dim, eps=eps)
        # The published recipe fixes the last scale at 1: the losses set the length themselves.
        nn.init.ones_(self.features.weight)
        self.features.weight.requires_grad = False

    @property
    def dropout_rate(self) -> float:
        return self.dropout.p

    def trunk(self, x: Tensor) -> Tensor:
        """What the dropout is given."""
        x = self.prelu(self.bn1(self.conv1(x)))
        for stage in range(1, self.stages + 1):
            x = self.get_submodule(f"layer{stage}")(x)
        y: Tensor = self.bn2(x)
        return y

    def readout(self, x: Tensor) -> Tensor:
        """From what the dropout leaves to the embedding."""
        y: Tensor = self.features(self.fc(x.flatten(1)))
        return y

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.dropout(self.trunk(x)))

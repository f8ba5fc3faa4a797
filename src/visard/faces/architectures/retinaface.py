"""RetinaFace on a MobileNet of width 0.25 (Deng et al. 2020; Najibi et al. 2017 for its context modules).

Key names are those of the published PyTorch file (without its `module.`): `body.stageN`, `fpn.outputN`,
`sshN.conv3X3`, `ClassHead.N.conv1x1`.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDES = (8, 16, 32)
ANCHORS = 2
LEAK = 0.1
PUBLISHED_WIDTHS = (8, 16, 32, 64, 128, 256)
PUBLISHED_UNITS = (6, 2)


def _conv(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, linear: bool = False
) -> nn.Sequential:
    """Convolution, BatchNorm and (unless linear) leaky ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([] if linear else [nn.LeakyReLU(LEAK)]))


def _separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Depthwise 3x3 and pointwise convolution, each with BatchNorm and leaky ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.LeakyReLU(LEAK),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(LEAK),
    )


class Body(nn.Module):
    """MobileNet: pictures to maps at strides 8, 16 and 32."""

    def __init__(self, widths: Sequence[int], units: Sequence[int]) -> None:
        super().__init__()
        stem, half, quarter, eighth, sixteenth, last = widths
        self.stage1 = nn.Sequential(
            _conv(3, stem, stride=2),
            _separable(stem, half),
            _separable(half, quarter, 2),
            _separable(quarter, quarter),
            _separable(quarter, eighth, 2),
            _separable(eighth, eighth),
        )
        self.stage2 = self._stage(eighth, sixteenth, units[0])
        self.stage3 = self._stage(sixteenth, last, units[1])

    def _stage(self, inputs: int, width: int, count: int) -> nn.Sequential:
        return nn.Sequential(
            _separable(inputs, width, 2), *(_separable(width, width) for _ in range(count - 1))
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        eighth = self.stage1(x)
        sixteenth = self.stage2(eighth)
        return [eighth, sixteenth, self.stage3(sixteenth)]


class Pyramid(nn.Module):
    """Maps of one width at every stride; what the coarse map knows is added to the finer one."""

    def __init__(self, inputs: Sequence[int], width: int) -> None:
        super().__init__()
        self.output1, self.output2, self.output3 = (_conv(each, width, 1) for each in inputs)
        self.merge1 = _conv(width, width)
        self.merge2 = _conv(width, width)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        fine, middle, coarse = self.output1(maps[0]), self.output2(maps[1]), self.output3(maps[2])
        middle = self.merge2(middle + F.interpolate(coarse, size=middle.shape[-2:]))
        fine = self.merge1(fine + F.interpolate(middle, size=fine.shape[-2:]))
        return [fine, middle, coarse]


class Context(nn.Module):
    """SSH: convolutions that see 3, 5 and 7 px around, side by side."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half, quarter = width // 2, width // 4
        self.conv3X3 = _conv(width, half, linear=True)
        self.conv5X5_1 = _conv(width, quarter)
        self.conv5X5_2 = _conv(quarter, quarter, linear=True)
        self.conv7X7_2 = _conv(quarter, quarter)
        self.conv7x7_3 = _conv(quarter, quarter, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        wider = self.conv5X5_1(x)
        widest = self.conv7x7_3(self.conv7X7_2(wider))
        return F.relu(torch.cat([self.conv3X3(x), self.conv5X5_2(wider), widest], 1))


class Head(nn.Module):
    """(B, C, h, w) -> (B, h w ANCHORS, values), cells from the top left."""

    def __init__(self, width: int, values: int) -> None:
        super().__init__()
        self.conv1x1 = nn.Conv2d(width, ANCHORS * values, 1)
        self.values = values

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv1x1(x)
        return y.permute(0, 2, 3, 1).reshape(len(x), -1, self.values)


class RetinaFace(nn.Module):
    """(B, 3, H, W), sides divisible by 32 -> nine tensors: score LOGITS, box and landmark offsets.

    Scores (B, N, 1), boxes (B, N, 4) and landmarks (B, N, 10) at strides 8, 16 and 32; the offsets are from
    prior boxes, which `visard.faces.retinaface` knows. `units` are those of the last two stages.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int] = PUBLISHED_WIDTHS,
        units: Sequence[int] = PUBLISHED_UNITS,
        neck_width: int = 64,
    ) -> None:
        super().__init__()
        self.body = Body(widths, units)
        self.fpn = Pyramid(widths[3:], neck_width)
        self.ssh1, self.ssh2, self.ssh3 = (Context(neck_width) for _ in STRIDES)
        self.ClassHead = nn.ModuleList(Head(neck_width, 2) for _ in STRIDES)
        self.BboxHead = nn.ModuleList(Head(neck_width, 4) for _ in STRIDES)
        self.LandmarkHead = nn.ModuleList(Head(neck_width, 10) for _ in STRIDES)

    def forward(self, x: Tensor) -> list[Tensor]:
        contexts = (self.ssh1, self.ssh2, self.ssh3)
        maps = [context(each) for context, each in zip(contexts, self.fpn(self.body(x)), strict=True)]

        def read(heads: nn.ModuleList) -> list[Tensor]:
            return [head(each) for head, each in zip(heads, maps, strict=True)]

        # Of "no face" and "face", the softmax of the second is the sigmoid of the difference.
        scores = [output[..., 1:] - output[..., :1] for output in read(self.ClassHead)]
        return [*scores, *read(self.BboxHead), *read(self.LandmarkHead)]

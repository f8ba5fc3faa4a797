"""A small single-shot detector with the outputs of SCRFD (Guo et al. 2022)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDES = (8, 16, 32)
ANCHORS = 2
PRIOR = 0.01  # probability a fresh score head gives to "face", as in focal-loss detectors (Lin et al. 2017)


class ConvUnit(nn.Sequential):
    """3x3 convolution, BatchNorm, ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class SeparableUnit(nn.Sequential):
    """Depthwise 3x3 and pointwise convolution, each with BatchNorm and ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
            nn.BatchNorm2d(inputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class Head(nn.Module):
    """(B, C, h, w) -> scores (B, N, 1), distances (B, N, 4), landmarks (B, N, 10) with N = h w ANCHORS."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.tower = nn.Sequential(SeparableUnit(width, width), SeparableUnit(width, width))
        self.score = nn.Conv2d(width, ANCHORS, 1)
        self.box = nn.Conv2d(width, ANCHORS * 4, 1)
        self.landmarks = nn.Conv2d(width, ANCHORS * 10, 1)
        nn.init.constant_(self.score.bias, float(torch.logit(torch.tensor(PRIOR))))  # type: ignore[arg-type]
        nn.init.constant_(self.box.bias, 2.0)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.tower(x)

        def rows(y: Tensor, values: int) -> Tensor:
            return y.permute(0, 2, 3, 1).reshape(y.shape[0], -1, values)

        # Distances cannot be negative: a rectifier would stop learning where softplus does not.
        return rows(self.score(x), 1), F.softplus(rows(self.box(x), 4)), rows(self.landmarks(x), 10)


class ScrfdMicro(nn.Module):
    """(B, 3, H, W), sides divisible by 32 -> nine tensors: score LOGITS, boxes, landmarks at three strides.

    A cell's anchor is (x, y) = (column, row) * stride. Boxes are the distances from it to left, top, right
    and bottom, landmarks the offsets from it, in strides: what `visard.faces.detector.decode` expects.
    `widths` are those of strides 2, 4, 8, 16 and 32.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int] = (16, 32, 64, 96, 128),
        units: Sequence[int] = (3, 3, 3),
        neck_width: int = 64,
    ) -> None:
        super().__init__()
        stem, half, eighth, sixteenth, last = widths
        self.stem = nn.Sequential(ConvUnit(3, stem, 2), SeparableUnit(stem, half, 2))
        inputs = half
        stages = []
        for width, count in zip((eighth, sixteenth, last), units, strict=True):
            stages.append(
                nn.Sequential(
                    SeparableUnit(inputs, width, 2), *(SeparableUnit(width, width) for _ in range(count - 1))
                )
            )
            inputs = width
        self.stages = nn.ModuleList(stages)
        self.laterals = nn.ModuleList(nn.Conv2d(width, neck_width, 1) for width in (eighth, sixteenth, last))
        self.heads = nn.ModuleList(Head(neck_width) for _ in STRIDES)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        maps: list[Tensor] = []
        for stage, lateral in zip(self.stages, self.laterals, strict=True):
            x = stage(x)
            maps.append(lateral(x))
        for level in (1, 0):  # top-down: what the coarse map knows helps the fine one
            maps[level] = maps[level] + F.interpolate(maps[level + 1], scale_factor=2.0)
        outputs = [head(features) for head, features in zip(self.heads, maps, strict=True)]
        return [output[kind] for kind in range(3) for output in outputs]

"""EdgeNeXt (Maaz et al. 2022), EdgeFace's backbone (George et al. 2023): convolutions and channel attention.

Key names follow timm (`stem.0`, `stages.N.blocks.M`, `head.fc`); `rank_ratio` replaces each linear layer by
EdgeFace's low-rank pair `linear1`, `linear2`.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

XS_WIDTHS = (32, 64, 100, 192)
XS_UNITS = (3, 3, 9, 3)
PUBLISHED_KERNELS = (3, 5, 7, 9)
PUBLISHED_SCALES = (2, 2, 3, 4)
POSITION_FEATURES = 32
EPS = 1e-6


class LowRankLinear(nn.Module):
    """A linear layer factored through `rank` features."""

    def __init__(self, inputs: int, outputs: int, rank: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(inputs, rank, bias=False)
        self.linear2 = nn.Linear(rank, outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear2(self.linear1(x))
        return y


def _linear(inputs: int, outputs: int, rank_ratio: float | None) -> nn.Module:
    if rank_ratio is None:
        return nn.Linear(inputs, outputs)
    return LowRankLinear(inputs, outputs, max(2, int(min(inputs, outputs) * rank_ratio)))


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        normalised: Tensor = super().forward(x.permute(0, 2, 3, 1))
        return normalised.permute(0, 3, 1, 2)


class Mlp(nn.Module):
    """Linear, GELU, linear over the last axis, four times as wide inside."""

    def __init__(self, width: int, rank_ratio: float | None) -> None:
        super().__init__()
        self.fc1 = _linear(width, 4 * width, rank_ratio)
        self.fc2 = _linear(4 * width, width, rank_ratio)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return y


class ConvBlock(nn.Module):
    """Depthwise convolution, LayerNorm, MLP, layer scale, shortcut: (B, C, H, W) -> same."""

    def __init__(self, width: int, kernel: int, layer_scale: float, rank_ratio: float | None) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.mlp = Mlp(width, rank_ratio)
        self.gamma = nn.Parameter(layer_scale * torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv_dw(x).permute(0, 2, 3, 1)
        y = self.gamma * self.mlp(self.norm(y))
        update: Tensor = y.permute(0, 3, 1, 2)
        return x + update


class CrossCovarianceAttention(nn.Module):
    """Attention between channels instead of places (El-Nouby et al. 2021): (B, N, C) -> same."""

    def __init__(self, width: int, heads: int, rank_ratio: float | None) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = _linear(width, 3 * width, rank_ratio)
        self.proj = _linear(width, width, rank_ratio)

    def forward(self, x: Tensor) -> Tensor:
        batch, places, width = x.shape
        qkv = self.qkv(x).reshape(batch, places, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 4, 1).unbind(0)  # each (B, heads, C / heads, N)
        attention = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-2, -1)
        mixed = (attention * self.temperature).softmax(-1) @ value
        y: Tensor = self.proj(mixed.permute(0, 3, 1, 2).reshape(batch, places, width))
        return y


class FourierPosition(nn.Module):
    """Sines and cosines of the place, projected to the block's width: -> (1, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.token_projection = nn.Conv2d(2 * POSITION_FEATURES, width, 1)

    def forward(self, height: int, width: int) -> Tensor:
        weight = self.token_projection.weight
        frequency = torch.arange(POSITION_FEATURES // 2, device=weight.device, dtype=torch.float32)
        frequency = 10000 ** (-2 * frequency / POSITION_FEATURES)

        def encode(length: int) -> Tensor:
            place = torch.arange(1, length + 1, device=weight.device, dtype=torch.float32)
            angle = 2 * math.pi * (place / (length + EPS))[:, None] * frequency
            return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)  # (length, POSITION_FEATURES)

        rows = encode(height)[:, None].expand(height, width, -1)
        columns = encode(width)[None].expand(height, width, -1)
        features = torch.cat([rows, columns], -1).permute(2, 0, 1)[None]
        y: Tensor = self.token_projection(features.to(weight.dtype))
        return y


class SplitTransposeBlock(nn.Module):
    """Depthwise convolutions of growing reach, cross-covariance attention, MLP: (B, C, H, W) -> same."""

    def __init__(
        self,
        width: int,
        scales: int,
        heads: int,
        layer_scale: float,
        rank_ratio: float | None,
        *,
        position: bool,
    ) -> None:
        super().__init__()
        self.split = math.ceil(width / scales)
        self.convs = nn.ModuleList(
            nn.Conv2d(self.split, self.split, 3, padding=1, groups=self.split)
            for _ in range(max(1, scales - 1))
        )
        self.pos_embd = FourierPosition(width) if position else None
        self.norm_xca = nn.LayerNorm(width, eps=EPS)
        self.gamma_xca = nn.Parameter(layer_scale * torch.ones(width))
        self.xca = CrossCovarianceAttention(width, heads, rank_ratio)
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.mlp = Mlp(width, rank_ratio)
        self.gamma = nn.Parameter(layer_scale * torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        *parts, last = torch.split(x, self.split, 1)
        outputs: list[Tensor] = []
        for conv, part in zip(self.convs, parts, strict=True):
            outputs.append(conv(part if not outputs else outputs[-1] + part))
        y = torch.cat([*outputs, last], 1)
        batch, width, rows, columns = y.shape
        if self.pos_embd is not None:
            y = y + self.pos_embd(rows, columns)
        y = y.flatten(2).transpose(1, 2)
        y = y + self.gamma_xca * self.xca(self.norm_xca(y))
        y = self.gamma * self.mlp(self.norm(y))
        update: Tensor = y.transpose(1, 2).reshape(batch, width, rows, columns)
        return x + update


class Stage(nn.Module):
    """Down-sampling (but for the first stage), convolution blocks, and one attention block at the end."""

    def __init__(self, inputs: int, width: int, blocks: Sequence[nn.Module], *, first: bool) -> None:
        super().__init__()
        self.downsample: nn.Module = (
            nn.Identity() if first else nn.Sequential(ChannelNorm(inputs), nn.Conv2d(inputs, width, 2, 2))
        )
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.blocks(self.downsample(x))
        return y


class Head(nn.Module):
    """Global average, LayerNorm, linear."""

    def __init__(self, width: int, embedding_dim: int, rank_ratio: float | None) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.fc = _linear(width, embedding_dim, rank_ratio)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc(self.norm(x.mean((2, 3))))
        return y


class EdgeNeXt(nn.Module):
    """(B, 3, S, S) -> (B, D), not normalised; global pooling makes the weights independent of S.

    The defaults are the x-small member of EdgeFace-XS, which is published with `rank_ratio=0.6`.
    """

    def __init__(
        self,
        *,
        input_size: int = 112,
        embedding_dim: int = 512,
        widths: Sequence[int] = XS_WIDTHS,
        units: Sequence[int] = XS_UNITS,
        kernels: Sequence[int] = PUBLISHED_KERNELS,
        scales: Sequence[int] = PUBLISHED_SCALES,
        heads: int = 4,
        stem_stride: int = 4,
        layer_scale: float = 1e-6,
        rank_ratio: float | None = None,
    ) -> None:
        super().__init__()
        if input_size < stem_stride * 2 ** (len(units) - 1):
            raise ValueError(
                f"edgenext with stem stride {stem_stride} cannot reduce pictures of {input_size} px"
            )
        self.stem = nn.Sequential(nn.Conv2d(3, widths[0], stem_stride, stem_stride), ChannelNorm(widths[0]))
        stages = []
        inputs = widths[0]
        for index, (width, count) in enumerate(zip(widths, units, strict=True)):
            attentions = 0 if index == 0 else 1
            blocks: list[nn.Module] = [
                ConvBlock(width, kernels[index], layer_scale, rank_ratio) for _ in range(count - attentions)
            ]
            if attentions:
                blocks.append(
                    SplitTransposeBlock(
                        width, scales[index], heads, layer_scale, rank_ratio, position=index == 1
                    )
                )
            stages.append(Stage(inputs, width, blocks, first=index == 0))
            inputs = width
        self.stages = nn.Sequential(*stages)
        self.head = Head(inputs, embedding_dim, rank_ratio)

    def forward(self, x: Tensor) -> Tensor:
        embedding: Tensor = self.head(self.stages(self.stem(x)))
        return embedding

"""How far optimised photos are from the photos: PSNR and SSIM (Wang et al. 2004), as in Table 5.

The third of Table 5, LPIPS, is a network: `visard.metrics.lpips`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03
RANGE = 2.0
"""Of picture tensors."""


def psnr(first: Tensor, second: Tensor) -> float:
    """Mean over pictures (B, 3, H, W) in [-1, 1], in dB; infinite for equal pictures."""
    errors = (first.double() - second.double()).square().mean((1, 2, 3))
    if bool((errors == 0).any()):
        return math.inf
    return float((10 * torch.log10(RANGE**2 / errors)).mean())


def ssim(first: Tensor, second: Tensor) -> float:
    """Mean over pictures (B, 3, H, W) in [-1, 1], sides of at least 11; 1 for equal pictures.

    Gaussian window of 11 pixels, where it fits whole, each channel by itself.
    """
    x, y = first.double().flatten(0, 1)[:, None], second.double().flatten(0, 1)[:, None]
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    c1, c2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2
    above = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    below = (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return float((above / below).mean())


def _blur(values: Tensor) -> Tensor:
    axis = torch.arange(WINDOW, dtype=values.dtype) - WINDOW // 2
    line = torch.exp(-(axis**2) / (2 * SIGMA**2))
    line = line / line.sum()
    return F.conv2d(F.conv2d(values, line.view(1, 1, -1, 1)), line.view(1, 1, 1, -1))

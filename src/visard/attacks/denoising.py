"""Total-variation denoising (Rudin, Osher and Fatemi 1992) by Chambolle's projection (2004)."""

from __future__ import annotations

import torch
from torch import Tensor

STEP = 0.125
"""Chambolle's bound for convergence: 1/8."""


def total_variation(pictures: Tensor, strength: float, iterations: int = 40) -> Tensor:
    """The u that minimises ||u - g||^2 / (2 strength) + TV(u), for pictures g (B, 3, H, W).

    TV sums, over pixels, the length of the gradient over all channels together: colours share their edges.
    Chambolle 2004, eq. 9: u = g - strength div p, with p projected onto |p| <= 1.
    """
    p = torch.zeros(2, *pictures.shape, dtype=pictures.dtype, device=pictures.device)
    for _ in range(iterations):
        slope = _gradient(_divergence(p) - pictures / strength)
        length = slope.square().sum((0, 2), keepdim=True).sqrt()
        p = (p + STEP * slope) / (1 + STEP * length)
    return pictures - strength * _divergence(p)


def _gradient(u: Tensor) -> Tensor:
    """Forward differences, zero at the far border: (B, C, H, W) -> (2, B, C, H, W)."""
    result = torch.zeros(2, *u.shape, dtype=u.dtype, device=u.device)
    result[0, ..., :-1, :] = u[..., 1:, :] - u[..., :-1, :]
    result[1, ..., :, :-1] = u[..., :, 1:] - u[..., :, :-1]
    return result


def _divergence(p: Tensor) -> Tensor:
    """Minus the adjoint of `_gradient`."""
    down, across = p[0].clone(), p[1].clone()
    down[..., -1, :] = 0
    across[..., :, -1] = 0
    down[..., 1:, :] = down[..., 1:, :] - p[0][..., :-1, :]
    across[..., :, 1:] = across[..., :, 1:] - p[1][..., :, :-1]
    return down + across

"""What targeted methods steer photos towards, when no picture is given."""

from __future__ import annotations

import torch
from torch import Tensor

TILES = 16
"""Along one side."""


def chequers(side: int) -> Tensor:
    """A picture (3, side, side) of black and white squares: periodic, of the highest contrast."""
    tile = torch.arange(side) * TILES // side % 2
    return (2.0 * (tile[:, None] ^ tile[None, :]) - 1.0).expand(3, -1, -1).contiguous()


def grey(side: int) -> Tensor:
    """A picture (3, side, side) without anything in it."""
    return torch.zeros(3, side, side)

"""Full precision where half of it, or a GPU's shortened float32, would change what is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.backends import cudnn


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Neither autocast nor TF32 on `device`, whoever called."""
    with torch.autocast(device.type, enabled=False), full_convolutions():
        yield


@contextmanager
def full_convolutions() -> Iterator[None]:
    """No TF32 in convolutions; everything else about them stays as the user has set it.

    A backward pass needs it once more: it runs after what it differentiates.
    """
    with cudnn.flags(
        enabled=cudnn.enabled,
        benchmark=cudnn.benchmark,
        deterministic=cudnn.deterministic,
        allow_tf32=False,
    ):
        yield

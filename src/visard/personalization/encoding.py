"""Pictures to latents for a run, a few at a time: the autoencoder's activations are its largest tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from visard.diffusion.backbone import Backbone, Posterior

ENCODED_PIXELS = 2**18
"""Pixels in the autoencoder at once: one picture of 512 px (2 GB of activations in float32)."""


def encoded(backbone: Backbone, images: Tensor) -> Posterior:
    """Posteriors of the latents of pictures (B, 3, H, W), without a gradient."""
    chunk = max(1, ENCODED_PIXELS // (images.shape[-2] * images.shape[-1]))
    with torch.no_grad():
        parts = [backbone.encode(part) for part in torch.split(images, chunk)]
    return Posterior(torch.cat([each.mean for each in parts]), torch.cat([each.std for each in parts]))

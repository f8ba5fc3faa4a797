"""The decoder in the gradient of Stage II: the VAE's own, or a distilled one that stands in for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffusers import AutoencoderTiny
from torch import Tensor

from visard.diffusion.backbone import Backbone
from visard.errors import ModelError

Decode = Callable[[Tensor], Tensor]


def load_decoder(name: str, backbone: Backbone) -> Decode:
    """Scaled latents (B, C, h, w) to pictures, not clamped; `name` is "vae" or a TAESD. Raises ModelError."""
    if name == "vae":
        return backbone.decode
    try:
        tiny: Any = AutoencoderTiny.from_pretrained(  # type: ignore[no-untyped-call]
            name, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The decoder {name} cannot be loaded: {error}", 'Check decoupling.decoder, or set it to "vae".'
        ) from error
    if tiny.config.latent_channels != backbone.vae.config.latent_channels:
        raise ModelError(
            f"The decoder {name} reads {tiny.config.latent_channels} latent channels, "
            f"this model has {backbone.vae.config.latent_channels}.",
            "Use the TAESD made for this model's VAE.",
        )
    tiny.to(backbone.device).requires_grad_(False).eval()

    def decode(latents: Tensor) -> Tensor:
        images: Tensor = tiny.decode(latents.to(tiny.dtype)).sample  # a TAESD reads latents scaled
        return images

    return decode

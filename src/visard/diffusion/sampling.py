"""Pictures from a prompt."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from visard.diffusion.backbone import Backbone
from visard.diffusion.conditioning import Conditioning
from visard.progress import Progress, silent

# Decoding takes the most memory: this many output pixels at once, however many pictures are sampled together.
# One of 512 px takes 3 GB in float32.
DECODED_PIXELS = 2**18


def picture_generator(seed: int, index: int) -> torch.Generator:
    """The source of all randomness of picture `index`, independent of how pictures are batched.

    Seed and index are hashed together: with `seed + index`, neighbouring seeds would share pictures.
    """
    mixed = np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(mixed))


@torch.no_grad()
def generate(
    backbone: Backbone,
    prompt: str,
    count: int,
    *,
    seed: int,
    steps: int = 25,
    guidance: float = 7.5,
    batch: int = 8,
    negative_prompt: str = "",
    scheduler: str = "dpm++",
    first: int = 0,
    progress: Progress = silent,
) -> Tensor:
    """Sample `count` pictures `(count, 3, H, W)` in [-1, 1] on the CPU.

    Picture `first + i` of a seed is the same (to rounding) whatever `batch`, `first` and `count` are.
    `guidance`: classifier-free guidance scale, 1 switches it off; `scheduler`: a name in `SCHEDULERS`.
    Under the caller's `torch.autocast` to bfloat16 it takes half the time on a CPU with AVX512-BF16.
    Raises InputError for unknown samplers.
    """
    pipeline = backbone.pipeline(scheduler)
    both = backbone.embed_text([prompt, negative_prompt])
    text, negative = both[:1], both[1:]
    if backbone.zeros_for_empty and not negative_prompt:
        negative = negative.without_text()
    side = backbone.unet.config.sample_size
    shape = (backbone.unet.config.in_channels, side, side)
    pictures = [torch.empty(0, 3, backbone.resolution, backbone.resolution)]
    for start in range(0, count, batch):
        size = min(batch, count - start)
        generators = [picture_generator(seed, first + start + offset) for offset in range(size)]
        noise = torch.stack([torch.randn(shape, generator=generator) for generator in generators])

        def report(_: Any, step: int, __: Any, kept: Any, start: int = start, size: int = size) -> Any:
            progress("sampling", start * steps + size * (step + 1), count * steps)
            return kept

        latents = pipeline(
            **_embeddings(text.repeat(size)),
            **_embeddings(negative.repeat(size), "negative_"),
            num_inference_steps=steps,
            guidance_scale=guidance,
            latents=noise.to(backbone.device, backbone.unet.dtype),
            generator=generators,
            output_type="latent",
            callback_on_step_end=report,
        ).images
        pictures.append(_decode(backbone, latents))
    return torch.cat(pictures)


def _embeddings(told: Conditioning, prefix: str = "") -> dict[str, Tensor]:
    """What a pipeline takes in place of a prompt; it makes SDXL's time ids itself."""
    found = {f"{prefix}prompt_embeds": told.text, f"{prefix}pooled_prompt_embeds": told.pooled}
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def _decode(backbone: Backbone, latents: Tensor) -> Tensor:
    chunk = max(1, DECODED_PIXELS // backbone.resolution**2)
    parts = torch.split(latents, chunk)
    return torch.cat([backbone.decode(part).float().clamp(-1, 1).cpu() for part in parts])

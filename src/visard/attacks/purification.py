"""What a diffusion model makes of pictures: through the autoencoder, or noised a little and drawn anew."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from visard.attacks.views import View, resize
from visard.diffusion.backbone import Backbone

STRENGTHS = (0.1, 0.2, 0.3)
"""Share of the noise schedule that is undone; more changes the person."""
STEPS = 8
PROMPT = "a photo of person"


@torch.no_grad()
def through_autoencoder(pictures: Tensor, backbone: Backbone) -> Tensor:
    """What the autoencoder makes of them."""
    return backbone.reconstruct(_fitted(pictures, backbone)).to(pictures)


@torch.no_grad()
def purified(
    pictures: Tensor, backbone: Backbone, strength: float, steps: int = STEPS, prompt: str = PROMPT
) -> Tensor:
    """Diffusion purification (Nie et al. 2022): noise up to t* = strength T, then DDIM back to 0.

    DDIM with eta = 0 (Song et al. 2021, eq. 12); the noise is the same for every batch.
    """
    schedule = backbone.schedule
    first = max(1, round(strength * len(schedule))) - 1
    times = torch.linspace(first, 0, min(steps, first + 1)).round().long()
    z0 = backbone.encode(_fitted(pictures, backbone)).mean
    drawn = torch.randn(z0.shape, generator=torch.Generator().manual_seed(0)).to(z0)
    text = backbone.embed_text([prompt] * len(pictures))
    z = schedule.add_noise(z0, drawn, times[:1].expand(len(z0)))
    for now, then in zip(times, [*times[1:], None], strict=True):
        t = now.expand(len(z0))
        output = backbone.predict(z, t, text)
        clean = schedule.x0(z, output, t)
        z = (
            clean
            if then is None
            else schedule.add_noise(clean, schedule.noise(z, output, t), then.expand(len(z0)))
        )
    return backbone.decode(z).float().clamp(-1, 1).to(pictures)


def backbone_views(backbone: Backbone) -> dict[str, View]:
    """Views of the attacker's own, undefended base model."""
    views: dict[str, View] = {"autoencoder": partial(through_autoencoder, backbone=backbone)}
    for strength in STRENGTHS:
        views[f"purified {strength:g}"] = partial(purified, backbone=backbone, strength=strength)
    return views


def _fitted(pictures: Tensor, backbone: Backbone) -> Tensor:
    side = backbone.resolution
    return pictures if pictures.shape[-2:] == (side, side) else resize(pictures, side, side)

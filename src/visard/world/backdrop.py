"""What is behind a person: walls, gradients, rooms, parks and nights, as soft as behind a portrait lens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from visard.world.anatomy import Numbers
from visard.world.painting import rgb


def backdrop(s: Numbers, seeds: Sequence[int], size: int) -> Tensor:
    """(B, size * size, 3): walls, gradients, rooms, bokeh; soft, as behind a portrait lens."""
    device = s["camera_x"].device
    batch = len(seeds)
    noise = torch.stack(
        [torch.from_numpy(np.random.default_rng((0xBAC, seed)).random((12, 6))) for seed in seeds]
    )
    noise = noise.to(device, torch.float32)
    at = torch.linspace(-1, 1, size, device=device)
    v, u = (t.reshape(1, -1) for t in torch.meshgrid(at, at, indexing="ij"))
    first, second = rgb(s, "back0"), rgb(s, "back1")
    angle = noise[:, 0, :1] * 6.283
    slope = 0.5 + 0.35 * (torch.cos(angle) * u + torch.sin(angle) * v)
    vignette = 1 - 0.15 * (u * u + v * v)
    plain = first * vignette[..., None]
    gradient = first + slope[..., None] * (second - first)
    # a room: wall above, something dark below, a soft-edged window or shelf
    horizon = 0.25 + 0.6 * noise[:, 1, :1]
    floor_ = torch.sigmoid((v - horizon) * 14)[..., None]
    room = first * vignette[..., None] * (1 - floor_) + second * floor_
    for i in (2, 3):
        cx, cy, w, h = (noise[:, i, j : j + 1] for j in range(4))
        box = torch.maximum(
            (u - 2.4 * (cx - 0.5)).abs() / (0.12 + 0.3 * w), (v + 0.9 * cy - 0.15).abs() / (0.12 + 0.3 * h)
        )
        tone = noise[:, i, 4:5, None] * 1.2
        room = room + torch.sigmoid((1 - box) * 12)[..., None] * 0.7 * (second * 0.4 + tone * first - room)
    park = first * (0.75 + 0.5 * slope)[..., None] + torch.sigmoid((-v - 0.2) * 3)[..., None] * (
        second - first
    )
    night = first + slope[..., None] * (second - first)
    lights = torch.zeros(batch, size * size, 1, device=device)
    glow = torch.zeros(batch, size * size, 3, device=device)
    for i in range(3, 12):
        cx, cy, r = (noise[:, i, j : j + 1] for j in range(3))
        d = torch.sqrt((u - 2.2 * (cx - 0.5)) ** 2 + (v - 2.2 * (cy - 0.5)) ** 2) / (0.06 + 0.16 * r)
        disk = torch.sigmoid((1 - d) * 9)[..., None]
        lights = lights + 0.22 * disk
        glow = glow + disk * (0.25 + 0.6 * noise[:, i, 3:6].unsqueeze(1))
    park = park * (1 + 0.8 * lights) + 0.05 * lights
    night = night + 0.42 * glow
    kinds = {"plain": plain, "gradient": gradient, "room": room, "park": park, "night": night}
    mixed = torch.zeros(batch, size * size, 3, device=device)
    for kind, picture in kinds.items():
        mixed = mixed + s[f"back_{kind}"][..., None] * picture
    return mixed.clamp(0, 1.2)

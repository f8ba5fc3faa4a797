"""Colours of the parts of a head: skin with its brows, lips, lines and moles, eyes, hair, clothes.

Everything is a function of the point in head space and of the person: it stays in place when the head turns.
"""

from __future__ import annotations

import torch
from torch import Tensor

from visard.world.anatomy import Numbers, ellipsoid, eye_center, mouth_line


def _hash(x: Tensor, y: Tensor) -> Tensor:
    value = torch.sin(x * 127.1 + y * 311.7) * 43758.547
    return value - torch.floor(value)


def _smooth(low: float, high: float, x: Tensor) -> Tensor:
    t = torch.clamp((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def rgb(s: Numbers, name: str) -> Tensor:
    return torch.stack([s[f"{name}_{c}"] for c in "rgb"], -1)


def _paint_skin(x: Tensor, y: Tensor, z: Tensor, s: Numbers) -> Tensor:
    ax = torch.abs(x)
    front = _smooth(0.15, 0.45, z)
    mottled = 1 + 0.05 * torch.sin(17 * x + s["pattern"]) * torch.sin(15 * y + 2) * torch.sin(13 * z)
    color = rgb(s, "skin") * mottled[..., None]
    cheeks = torch.exp(-((ax - 0.40) ** 2 + (y + 0.28) ** 2) / 0.035) + 0.8 * torch.exp(
        -(x**2 + (y + 0.26) ** 2) / 0.012
    )
    red = torch.tensor([0.06, -0.05, -0.045], device=x.device)
    color = color * (1 + (front * cheeks * (0.25 + 0.6 * s["blush"]))[..., None] * red * 3)
    # brows: an arc of hair strokes above each eye
    ex, ey, _, _ = eye_center(s)
    t = (ax - ex - 0.02 - s["brow_gap"]) / 0.185
    arc = (
        ey
        + 0.205
        + s["brow_height"]
        + 0.035 * s["brow_raise"]
        + 0.045 * s["brow_tilt"] * t
        - 0.075 * s["brow_arch"] * (t - 0.25) ** 2
    )
    thick = 0.036 * s["brow_thickness"] * (1.15 - 0.45 * torch.clamp(t, -1, 1))
    strokes = 0.88 + 0.12 * torch.sin(110 * ax + 75 * y)
    brow = (
        (1 - _smooth(0.55, 1.1, torch.abs(y - arc) / thick))
        * (1 - _smooth(0.92, 1.12, torch.abs(t)))
        * front
        * strokes
    )
    color = color + (0.93 * brow)[..., None] * (rgb(s, "brow") - color)
    # lips and the dark of an open mouth
    line, half, gap = mouth_line(ax, s)
    up = y - line
    edge = torch.sqrt(torch.clamp(1 - (ax / (half * 1.02)) ** 2, min=0.0))
    cupid = 1 - 0.22 * torch.exp(-((x / 0.035) ** 2))
    above = up / (0.075 * s["lip_upper"] * edge * cupid + 0.35 * gap + 1e-4)
    below = -up / (0.088 * s["lip_lower"] * edge + 1.05 * gap + 1e-4)
    lips = (
        (1 - _smooth(0.75, 1.05, torch.maximum(above, below)))
        * _smooth(0.0, 0.12, edge)
        * _smooth(0.45, 0.6, z)
    )
    color = color + (0.9 * lips)[..., None] * (rgb(s, "lip") - color)
    inside = ellipsoid(x, up + 0.32 * gap, z - 0.70, half * 0.86, 0.013 + gap * 0.72, 0.22)
    color = color * (1 - 0.82 * (1 - _smooth(-0.006, 0.004, inside)) * _smooth(0.45, 0.55, z))[..., None]
    # lash line, lines of age, freckles, moles, stubble
    er = 0.135 * s["eye_size"]
    ux, uy = ax - ex, y - ey - s["eye_tilt"] * (ax - ex)
    open_ = (0.50 * er * s["eye_opening"] * s["lids"] * (1 - 0.22 * s["smile"])).clamp(min=0.006)
    ring = torch.sqrt((ux / (er * 1.05)) ** 2 + (uy / (open_ * 1.1)) ** 2 + 1e-8)
    lash = torch.exp(-(((ring - 1.08) / 0.16) ** 2)) * torch.where(uy > 0, 1.0, 0.35) * front
    crease = torch.exp(-(((uy - open_ - 0.055 + 0.9 * ux**2 / 0.3) / 0.011) ** 2)) * (
        1 - _smooth(0.10, 0.16, torch.abs(ux))
    )
    bags = torch.exp(-(((uy + open_ + 0.055 - 1.5 * ux**2) / 0.02) ** 2)) * (
        1 - _smooth(0.08, 0.15, torch.abs(ux))
    )
    fold_x = 0.15 + 0.14 * torch.clamp(-(y + 0.24) / 0.32, 0, 1.2)
    fold = (
        torch.exp(-(((ax - fold_x) / 0.018) ** 2)) * _smooth(-0.66, -0.52, y) * (1 - _smooth(-0.32, -0.24, y))
    )
    forehead = (
        torch.exp(-((torch.sin(34 * y + 1.5 * x * x) - 1) ** 2) / 0.10)
        * _smooth(0.30, 0.40, y)
        * (1 - _smooth(0.55, 0.68, y))
        * (1 - _smooth(0.40, 0.62, ax))
    )
    crow = torch.exp(-((torch.sin(60 * (y - ey) + 9 * ax) - 1) ** 2) / 0.12) * torch.exp(
        -(((ax - ex - 0.22) / 0.06) ** 2) - ((y - ey) / 0.09) ** 2
    )
    lines = (
        0.35 * crease * (0.5 + s["age_lines"])
        + s["age_lines"] * (0.38 * fold + 0.30 * forehead + 0.32 * crow + 0.34 * bags)
        + 0.16 * fold * torch.clamp(s["smile"], min=0.0)
    )
    color = color * (1 - front * torch.clamp(lines, 0, 0.55))[..., None] * (1 - 0.72 * lash)[..., None]
    cx, cy = torch.floor(x * 24), torch.floor(y * 24)
    dot = torch.sqrt((x * 24 - cx - 0.5) ** 2 + (y * 24 - cy - 0.5) ** 2 + 1e-8)
    freckle = (
        (_hash(cx + s["pattern"], cy) > 0.5).to(x.dtype)
        * (1 - _smooth(0.25, 0.5, dot))
        * torch.exp(-(((ax - 0.25) / 0.28) ** 2) - ((y + 0.16) / 0.20) ** 2)
    )
    color = color * (1 - 0.5 * s["freckles"] * freckle * front)[..., None]
    for i in range(3):
        away = torch.sqrt((x - s[f"mole{i}_x"]) ** 2 + (y - s[f"mole{i}_y"]) ** 2 + 1e-8) / (
            s[f"mole{i}_size"] + 1e-4
        )
        color = color * (1 - 0.75 * (1 - _smooth(0.6, 1.1, away)) * front)[..., None]
    jaw = _smooth(-0.30, -0.50, y) * _smooth(-0.35, 0.1, z) * (1 - 0.8 * lips)
    grain = 0.65 + 0.35 * _hash(torch.floor(x * 60), torch.floor(y * 60))
    shade = 0.52 * s["stubble"] * jaw * grain
    return color + shade[..., None] * (rgb(s, "hair") * 0.8 - color)


def _paint_eye(x: Tensor, y: Tensor, z: Tensor, s: Numbers) -> Tensor:
    ex, ey, ez, er = eye_center(s)
    side = torch.sign(x)
    u, v, w = (x - side * ex) / er, (y - ey) / er, (z - ez) / er
    away = torch.sqrt((u - s["gaze_x"]) ** 2 + (v - s["gaze_y"]) ** 2 + 1e-8)
    front = (w > 0).to(x.dtype)
    iris = (1 - _smooth(0.46, 0.54, away)) * front
    pupil = (1 - _smooth(0.19, 0.26, away)) * front
    rim = torch.exp(-(((away - 0.50) / 0.06) ** 2)) * front
    white = (
        torch.tensor([0.86, 0.83, 0.81], device=x.device)
        * (1 - 0.25 * _smooth(0.3, 1.0, torch.abs(u)))[..., None]
    )
    rays = 0.85 + 0.25 * _hash(torch.floor(7 * torch.atan2(v, u + 1e-6)), s["pattern"] * torch.ones_like(u))
    color = white + iris[..., None] * (rgb(s, "iris") * rays[..., None] - white)
    return color * (1 - 0.6 * rim)[..., None] * (1 - 0.96 * pupil)[..., None]


def _paint_hair(x: Tensor, y: Tensor, z: Tensor, s: Numbers) -> Tensor:
    around = torch.atan2(x - s["hair_part"] * 0.4, z + 0.6)
    wave = 5 * s["hair_wave"] + 3 * s["style_curly"]
    strands = torch.sin(46 * around + wave * torch.sin(5 * y + s["pattern"])) * 0.5 + 0.5 * torch.sin(
        83 * around + 4 * y + s["pattern"]
    )
    return rgb(s, "hair") * (1 + 0.30 * strands)[..., None]


def paint(hx: Tensor, hy: Tensor, hz: Tensor, wy: Tensor, s: Numbers, material: Tensor) -> Tensor:
    """Albedo (B, N, 3) of points given in head space; `wy` is their height in the world."""
    one = torch.ones_like(hx)[..., None]
    stripes = 1 - 0.35 * s["cloth_stripes"] * (torch.sin(26 * wy) > 0.2).to(hx.dtype)
    colors = (
        _paint_skin(hx, hy, hz, s),
        _paint_eye(hx, hy, hz, s),
        _paint_hair(hx, hy, hz, s),
        rgb(s, "cloth") * stripes[..., None],
        rgb(s, "frame") * one,
        rgb(s, "hat") * (1 - 0.25 * torch.exp(-(((hy - 0.60) / 0.05) ** 2)))[..., None],
        torch.tensor([0.84, 0.82, 0.76], device=hx.device) * one,
    )
    out = colors[0]
    for i, color in enumerate(colors[1:], 1):
        out = torch.where((material == i)[..., None], color, out)
    return out

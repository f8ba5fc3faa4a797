"""Sphere-traces heads in batches: geometry from `anatomy`, materials and light painted here.

`render(people, scenes)` returns linear work done in float32; one core draws tens of 128 px pictures a second
once the distance field is compiled (torch.compile needs a C++ compiler; without one it runs eagerly, slower).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from visard.world import anatomy
from visard.world.anatomy import MATERIALS, Numbers, ellipsoid, eye_center, mouth_line, to_head
from visard.world.people import Person
from visard.world.scene import Scene

SIZE = 128
STEPS = 28
SHADOW_STEPS = 6
#: Points in head space whose projections are the five landmarks (eyes first) are found by `_landmark_points`.
LANDMARKS = ("eye at image left", "eye at image right", "nose tip", "mouth corner left", "mouth corner right")


@dataclass(frozen=True)
class Rendering:
    """A batch of pictures with their truth."""

    pixels: np.ndarray  # (B, SIZE, SIZE, 3) uint8
    landmarks: np.ndarray  # (B, 5, 2) float32, (x, y), pixel centres at integers
    boxes: np.ndarray  # (B, 4) float32, x1 y1 x2 y2 of the face
    materials: np.ndarray  # (B, SIZE, SIZE) uint8: 0 background, 1 + index into MATERIALS


@lru_cache(maxsize=1)
def _compiled(
    compile_: bool,
) -> tuple[Callable[..., Tensor], Callable[..., tuple[Tensor, ...]], Callable[..., Tensor]]:
    functions = (anatomy.field, anatomy.parts, _paint)
    if not compile_:
        return functions
    return tuple(torch.compile(f, dynamic=False) for f in functions)  # type: ignore[return-value]


def _numbers(people: Sequence[Person], scenes: Sequence[Scene], device: torch.device) -> dict[str, Tensor]:
    rows = [{**p.shape, **s.numbers} for p, s in zip(people, scenes, strict=True)]
    return {
        k: torch.tensor([[r[k]] for r in rows], dtype=torch.float32, device=device) for k in sorted(rows[0])
    }


def _rays(s: Numbers, size: int) -> tuple[Tensor, ...]:
    device = s["camera_x"].device
    at = (torch.arange(size, device=device, dtype=torch.float32) - (size - 1) / 2) / (size / 2)
    v, u = torch.meshgrid(-at, at, indexing="ij")
    u, v = u.reshape(1, -1), v.reshape(1, -1)
    dx, dy = u * s["camera_half"], v * s["camera_half"]
    dz = -s["camera_distance"].expand_as(dx)
    length = torch.sqrt(dx * dx + dy * dy + dz * dz)
    ones = torch.ones_like(dx)
    return (
        s["camera_x"] * ones,
        s["camera_y"] * ones,
        s["camera_distance"] * ones,
        dx / length,
        dy / length,
        dz / length,
    )


def _landmark_points(s: Numbers) -> Tensor:
    """(B, 5, 3) landmark positions in head space."""
    ex, ey, ez, er = eye_center(s)
    tip_y = 0.06 - 0.335 * s["nose_length"] + s["nose_tilt"]
    _, half, gap = mouth_line(torch.zeros_like(ex), s)
    corner_y, _, _ = mouth_line(half, s)
    zero = torch.zeros_like(ex)
    points = [
        (-ex, ey, ez + er),
        (ex, ey, ez + er),
        (zero, tip_y, 0.97 + s["nose_forward"]),
        (-half * 0.95, corner_y - 0.3 * gap, 0.60 + zero),
        (half * 0.95, corner_y - 0.3 * gap, 0.60 + zero),
    ]
    return torch.stack([torch.cat(p, 1) for p in points], 1)


def _outline_points(s: Numbers) -> Tensor:
    """(B, K, 3) points around the face in head space whose extent is the face box."""
    zero = torch.zeros_like(s["face_width"])
    width = 0.60 * s["face_width"]
    chin = -1.02 - s["chin_length"] - s["jaw_drop"] - 0.11 * s["mouth_open"]
    points = [(zero, 0.55 + s["forehead"], 0.70 + zero), (zero, chin, 0.60 + zero)]
    points += [(side * width, y + zero, 0.25 + zero) for side in (-1.0, 1.0) for y in (0.15, -0.45)]
    return torch.stack([torch.cat(p, 1) for p in points], 1)


def _project(points: Tensor, s: Numbers, size: int) -> Tensor:
    """Head-space points (B, K, 3) -> pixels (B, K, 2)."""
    pivot = torch.tensor(anatomy.PIVOT, device=points.device)
    turn = torch.stack([torch.cat([s[f"r{i}{j}"] for j in range(3)], 1) for i in range(3)], 1)
    world = torch.einsum("bij,bkj->bki", turn, points - pivot) + pivot
    depth = s["camera_distance"] - world[..., 2]
    scale = s["camera_distance"] / depth / s["camera_half"]
    x = (world[..., 0] - s["camera_x"]) * scale
    y = (world[..., 1] - s["camera_y"]) * scale
    return torch.stack([x, -y], -1) * (size / 2) + (size - 1) / 2


def _hash(x: Tensor, y: Tensor) -> Tensor:
    value = torch.sin(x * 127.1 + y * 311.7) * 43758.547
    return value - torch.floor(value)


def _smooth(low: float, high: float, x: Tensor) -> Tensor:
    t = torch.clamp((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _rgb(s: Numbers, name: str) -> Tensor:
    return torch.stack([s[f"{name}_{c}"] for c in "rgb"], -1)


def _paint_skin(x: Tensor, y: Tensor, z: Tensor, s: Numbers) -> Tensor:
    ax = torch.abs(x)
    front = _smooth(0.15, 0.45, z)
    mottled = 1 + 0.05 * torch.sin(17 * x + s["pattern"]) * torch.sin(15 * y + 2) * torch.sin(13 * z)
    color = _rgb(s, "skin") * mottled[..., None]
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
    color = color + (0.93 * brow)[..., None] * (_rgb(s, "brow") - color)
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
    color = color + (0.9 * lips)[..., None] * (_rgb(s, "lip") - color)
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
    return color + shade[..., None] * (_rgb(s, "hair") * 0.8 - color)


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
    color = white + iris[..., None] * (_rgb(s, "iris") * rays[..., None] - white)
    return color * (1 - 0.6 * rim)[..., None] * (1 - 0.96 * pupil)[..., None]


def _paint_hair(x: Tensor, y: Tensor, z: Tensor, s: Numbers) -> Tensor:
    around = torch.atan2(x - s["hair_part"] * 0.4, z + 0.6)
    wave = 5 * s["hair_wave"] + 3 * s["style_curly"]
    strands = torch.sin(46 * around + wave * torch.sin(5 * y + s["pattern"])) * 0.5 + 0.5 * torch.sin(
        83 * around + 4 * y + s["pattern"]
    )
    return _rgb(s, "hair") * (1 + 0.30 * strands)[..., None]


def _paint(hx: Tensor, hy: Tensor, hz: Tensor, wy: Tensor, s: Numbers, material: Tensor) -> Tensor:
    """Albedo (B, N, 3) of points given in head space; `wy` is their height in the world."""
    one = torch.ones_like(hx)[..., None]
    stripes = 1 - 0.35 * s["cloth_stripes"] * (torch.sin(26 * wy) > 0.2).to(hx.dtype)
    colors = (
        _paint_skin(hx, hy, hz, s),
        _paint_eye(hx, hy, hz, s),
        _paint_hair(hx, hy, hz, s),
        _rgb(s, "cloth") * stripes[..., None],
        _rgb(s, "frame") * one,
        _rgb(s, "hat") * (1 - 0.25 * torch.exp(-(((hy - 0.60) / 0.05) ** 2)))[..., None],
        torch.tensor([0.84, 0.82, 0.76], device=hx.device) * one,
    )
    out = colors[0]
    for i, color in enumerate(colors[1:], 1):
        out = torch.where((material == i)[..., None], color, out)
    return out


def _background(s: Numbers, seeds: Sequence[int], size: int) -> Tensor:
    """(B, size * size, 3): walls, gradients, rooms, bokeh; soft, as behind a portrait lens."""
    device = s["camera_x"].device
    batch = len(seeds)
    noise = torch.stack(
        [torch.from_numpy(np.random.default_rng((0xBAC, seed)).random((12, 6))) for seed in seeds]
    )
    noise = noise.to(device, torch.float32)
    at = torch.linspace(-1, 1, size, device=device)
    v, u = (t.reshape(1, -1) for t in torch.meshgrid(at, at, indexing="ij"))
    first, second = _rgb(s, "back0"), _rgb(s, "back1")
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


def _trace(s: Numbers, size: int, field: Callable[..., Tensor]) -> tuple[Tensor, ...]:
    ox, oy, oz, dx, dy, dz = _rays(s, size)
    start = s["camera_distance"] - 1.9
    t = start.expand_as(ox).clone()
    pixel = s["camera_half"] * 2 / size
    nearest, at = torch.full_like(t, 9.0), t.clone()
    for _ in range(STEPS):
        d = field(ox + t * dx, oy + t * dy, oz + t * dz, s)
        closer = d < torch.maximum(nearest, 0.3 * pixel)  # a hit behind a grazed edge wins over the edge
        nearest, at = torch.where(closer, d, nearest), torch.where(closer, t, at)
        # rays that graze a surface go on by at least a pixel, rays that arrived stay
        step = torch.where(d < 0.2 * pixel, d, torch.maximum(0.92 * d, pixel))
        t = torch.minimum(t + step, start + 4.2)
    coverage = torch.clamp(1.15 - nearest / pixel, 0, 1)
    return ox + at * dx, oy + at * dy, oz + at * dz, coverage, dx, dy, dz


def _normal(
    x: Tensor, y: Tensor, z: Tensor, s: Numbers, field: Callable[..., Tensor], h: float = 0.012
) -> tuple[Tensor, ...]:
    nx, ny, nz = torch.zeros_like(x), torch.zeros_like(x), torch.zeros_like(x)
    for i, j, k in ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)):
        d = field(x + h * i, y + h * j, z + h * k, s)
        nx, ny, nz = nx + i * d, ny + j * d, nz + k * d
    norm = torch.sqrt(nx * nx + ny * ny + nz * nz + 1e-10)
    return nx / norm, ny / norm, nz / norm


def _shade(
    x: Tensor,
    y: Tensor,
    z: Tensor,
    s: Numbers,
    field: Callable[..., Tensor],
    albedo: Tensor,
    material: Tensor,
    view: tuple[Tensor, Tensor, Tensor],
) -> Tensor:
    nx, ny, nz = _normal(x, y, z, s, field)
    lx, ly, lz = s["light_x"], s["light_y"], s["light_z"]
    facing = nx * lx + ny * ly + nz * lz
    # soft shadow towards the key light, two taps of occlusion
    t, lit = torch.full_like(x, 0.05), torch.ones_like(x)
    px, py, pz = x + 0.03 * nx, y + 0.03 * ny, z + 0.03 * nz
    for _ in range(SHADOW_STEPS):
        d = field(px + lx * t, py + ly * t, pz + lz * t, s)
        lit = torch.minimum(lit, 0.5 + 0.5 * d / (s["light_soft"] * t))
        t = t + torch.clamp(d, 0.04, 0.30)
    lit = torch.clamp(lit, 0, 1)
    occlusion = torch.ones_like(x)
    for reach in (0.08, 0.26):
        d = field(x + reach * nx, y + reach * ny, z + reach * nz, s)
        occlusion = occlusion * torch.clamp(0.45 + 0.55 * d / reach, 0, 1)
    skin = (material == 0).to(x.dtype)
    wrap = 0.28 * skin
    diffuse = torch.clamp((facing + wrap) / (1 + wrap), min=0.0) * lit
    bleed = (
        skin * torch.exp(-((facing / 0.25) ** 2)) * 0.10 * lit
    )  # light scattered under the skin at the terminator
    hx, hy, hz = lx - view[0], ly - view[1], lz - view[2]
    norm = torch.sqrt(hx * hx + hy * hy + hz * hz)
    gloss = torch.clamp((nx * hx + ny * hy + nz * hz) / norm, min=0.0)
    sharp = torch.tensor([14.0, 90.0, 22.0, 6.0, 60.0, 8.0, 40.0], device=x.device)[material]
    shine = torch.tensor([0.09, 0.75, 0.13, 0.02, 0.50, 0.03, 0.30], device=x.device)[material]
    specular = shine * gloss**sharp * lit
    sky = 0.65 + 0.35 * ny
    light, fill = _rgb(s, "light"), _rgb(s, "fill")
    red = torch.tensor([1.0, 0.35, 0.25], device=x.device)
    return (
        albedo
        * (light * diffuse[..., None] * 1.15 + fill * (sky * occlusion)[..., None] + bleed[..., None] * red)
        + light * specular[..., None]
    )


@torch.no_grad()
def render(
    people: Sequence[Person],
    scenes: Sequence[Scene],
    *,
    size: int = SIZE,
    device: str = "cpu",
    zoom: float = 1.0,
    compile: bool | None = None,
) -> Rendering:
    """Draws one picture a (person, scene) pair.

    Returns a Rendering of (B, size, size, 3) uint8 pictures with landmarks, boxes and material masks.
    `zoom` < 1 narrows the view around the face (a picture of `zoom * SIZE` keeps the pixel density).
    Batches of one size compile once; `compile=None` compiles when a C++ compiler is at hand.
    """
    if compile is None:
        compile = shutil.which("g++") is not None or shutil.which("c++") is not None
    field, parts, paint = _compiled(compile)
    s = _numbers(people, scenes, torch.device(device))
    s["camera_half"] = s["camera_half"] * zoom
    x, y, z, coverage, dx, dy, dz = _trace(s, size, field)
    material = torch.stack(parts(x, y, z, s)).argmin(0)
    hx, hy, hz = to_head(x, y, z, s)
    albedo = paint(hx, hy, hz, y, s, material)
    color = _shade(x, y, z, s, field, albedo, material, (dx, dy, dz))
    behind = _background(s, [p.number * 4096 + c.seed for p, c in zip(people, scenes, strict=True)], size)
    color = behind + coverage[..., None] * (color - behind)
    color = color * s["exposure"][..., None]
    color = color / (1 + 0.18 * color)  # a gentle shoulder keeps highlights
    display = torch.where(
        color <= 0.0031308, 12.92 * color, 1.055 * color.clamp(min=1e-6) ** (1 / 2.4) - 0.055
    )
    display = ((display - 0.5) * s["contrast"][..., None] + 0.5).clamp(0, 1)
    batch = len(people)
    outline = _project(_outline_points(s), s, size)
    boxes = torch.cat([outline.amin(1), outline.amax(1)], 1)
    masks = torch.where(coverage > 0.5, material + 1, 0).reshape(batch, size, size)
    return Rendering(
        pixels=(display.reshape(batch, size, size, 3) * 255).round().to(torch.uint8).cpu().numpy(),
        landmarks=_project(_landmark_points(s), s, size).cpu().numpy().astype(np.float32),
        boxes=boxes.clamp(0, size - 1).cpu().numpy().astype(np.float32),
        materials=masks.to(torch.uint8).cpu().numpy(),
    )


__all__ = ["LANDMARKS", "MATERIALS", "SIZE", "Rendering", "render"]

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
from visard.world.anatomy import MATERIALS, Numbers, eye_center, mouth_line, to_head
from visard.world.backdrop import backdrop
from visard.world.painting import paint as paint_parts
from visard.world.painting import rgb
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
    functions = (anatomy.field, anatomy.parts, paint_parts)
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
    light, fill = rgb(s, "light"), rgb(s, "fill")
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
    behind = backdrop(s, [p.number * 4096 + c.seed for p, c in zip(people, scenes, strict=True)], size)
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

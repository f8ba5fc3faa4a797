"""The signed distance field of a head and shoulders, written component-wise so that it compiles well.

Head space: y up, z towards the camera, half a head is about one unit. Points are separate (B, N) tensors,
a person's numbers (B, 1). `parts` returns the distance to each material, `field` their minimum.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

Numbers = Mapping[str, Tensor]
MATERIALS = ("skin", "eye", "hair", "cloth", "frame", "hat", "teeth")
FAR = 9.0
#: The head turns about this point (top of the neck).
PIVOT = (0.0, -0.55, -0.15)


def ellipsoid(
    x: Tensor, y: Tensor, z: Tensor, a: Tensor | float, b: Tensor | float, c: Tensor | float
) -> Tensor:
    """First-order distance to an axis-aligned ellipsoid with radii a, b, c."""
    u, v, w = x / a, y / b, z / c
    k0 = torch.sqrt(u * u + v * v + w * w + 1e-8)
    k1 = torch.sqrt((u / a) ** 2 + (v / b) ** 2 + (w / c) ** 2 + 1e-8)
    return k0 * (k0 - 1) / k1


def join(d1: Tensor, d2: Tensor, k: float) -> Tensor:
    """Smooth union (polynomial, blend width k)."""
    h = torch.clamp(0.5 + 0.5 * (d2 - d1) / k, 0, 1)
    return d2 + (d1 - d2) * h - k * h * (1 - h)


def carve(d: Tensor, tool: Tensor, k: float) -> Tensor:
    """Smooth subtraction of `tool` from `d`."""
    return -join(-d, tool, k)


def capsule(
    x: Tensor,
    y: Tensor,
    z: Tensor,
    y0: Tensor | float,
    z0: Tensor | float,
    y1: Tensor | float,
    z1: Tensor | float,
    r0: Tensor | float,
    r1: Tensor | float,
) -> Tensor:
    """Distance to a segment in the plane x = 0 whose radius runs from r0 to r1."""
    dy, dz = y1 - y0, z1 - z0
    h = torch.clamp(((y - y0) * dy + (z - z0) * dz) / (dy * dy + dz * dz), 0, 1)
    return torch.sqrt(x * x + (y - y0 - h * dy) ** 2 + (z - z0 - h * dz) ** 2 + 1e-8) - (r0 + (r1 - r0) * h)


def to_head(x: Tensor, y: Tensor, z: Tensor, s: Numbers) -> tuple[Tensor, Tensor, Tensor]:
    """World point -> head space (inverse head rotation about the pivot)."""
    py, pz = y - PIVOT[1], z - PIVOT[2]
    hx = s["r00"] * x + s["r10"] * py + s["r20"] * pz
    hy = s["r01"] * x + s["r11"] * py + s["r21"] * pz
    hz = s["r02"] * x + s["r12"] * py + s["r22"] * pz
    return hx, hy + PIVOT[1], hz + PIVOT[2]


def eye_center(s: Numbers) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x (of the eye at image right), y, z and radius of the eyeballs."""
    return 0.275 * s["eye_spacing"], 0.06 + s["eye_height"], 0.615 + s["eye_depth"], 0.135 * s["eye_size"]


def mouth_line(ax: Tensor, s: Numbers) -> tuple[Tensor, Tensor, Tensor]:
    """Height of the line between the lips at |x|, its half width, and the gap between the lips."""
    half = 0.245 * s["mouth_width"] * (1 + 0.18 * s["smile"])
    y = (
        -0.545
        + s["mouth_height"]
        + 0.30 * s["smile"] * (ax / half).clamp(max=1.4) ** 2 * 0.30
        - 0.02 * s["smile"]
    )
    return y, half, 0.125 * s["mouth_open"]


def _skin(x: Tensor, y: Tensor, z: Tensor, s: Numbers) -> Tensor:
    ax = torch.abs(x)
    drop = 0.11 * s["mouth_open"]
    d = ellipsoid(
        x, y - 0.30 - s["forehead"], z + 0.10, 0.77 * s["skull_width"], 0.82 * s["skull_height"], 0.92
    )
    d = join(d, ellipsoid(x, y + 0.20, z - 0.14, 0.63 * s["face_width"], 0.80 * s["face_length"], 0.66), 0.16)
    jaw_y = -0.60 - s["jaw_drop"] - 0.6 * drop
    d = join(
        d, ellipsoid(ax - 0.25 * s["jaw_width"], y - jaw_y, z - 0.16, 0.25 * s["jaw_width"], 0.22, 0.38), 0.20
    )
    chin_y = -0.865 - s["chin_length"] - s["jaw_drop"] - drop
    d = join(
        d, ellipsoid(x, y - chin_y, z - 0.47 - s["chin_forward"], 0.20 * s["chin_width"], 0.15, 0.19), 0.24
    )
    d = join(
        d,
        ellipsoid(ax - 0.42 * s["cheek_width"], y + 0.13, z - 0.46, 0.17, 0.12, 0.15 * s["cheek_bone"]),
        0.14,
    )
    d = join(
        d,
        ellipsoid(
            ax - 0.35 * s["cheek_width"],
            y + 0.40 - 0.05 * s["smile"],
            z - 0.44,
            0.21,
            0.23,
            0.17 * s["cheek_fat"] * (1 + 0.15 * s["smile"]),
        ),
        0.15,
    )
    # brow ridge, then the sockets, then eyelids over the eyeballs
    d = join(
        d,
        ellipsoid(ax - 0.26, y - 0.235 - s["eye_height"], z - 0.64, 0.26, 0.075, 0.095 * s["brow_ridge"]),
        0.10,
    )
    ex, ey, ez, er = eye_center(s)
    d = carve(d, ellipsoid(ax - ex, y - ey, z - ez - 0.225, 0.185, 0.125, 0.13), 0.09)
    ux, uy, uz = ax - ex, y - ey, z - ez
    lid = torch.sqrt(ux * ux + uy * uy + uz * uz + 1e-8) - er * 1.13
    ty = uy - s["eye_tilt"] * ux
    half_open = (0.50 * er * s["eye_opening"] * s["lids"] * (1 - 0.22 * s["smile"])).clamp(min=0.006)
    slit = (torch.sqrt((ux / (er * 1.03)) ** 2 + (ty / half_open) ** 2 + 1e-8) - 1) * half_open
    d = join(d, torch.maximum(lid, -slit), 0.035)
    # nose
    tip_y = 0.06 - 0.335 * s["nose_length"] + s["nose_tilt"]
    tip_z = 0.90 + s["nose_forward"]
    d = join(
        d, capsule(x, y, z, 0.13, 0.70, tip_y + 0.05, tip_z - 0.06, 0.052 * s["nose_bridge"], 0.085), 0.07
    )
    d = join(
        d, ellipsoid(x, y - tip_y, z - tip_z + 0.02, 0.095 * s["nose_tip"], 0.078 * s["nose_tip"], 0.09), 0.06
    )
    d = join(
        d,
        ellipsoid(
            ax - 0.105 * s["nose_width"],
            y - tip_y + 0.025,
            z - tip_z + 0.115,
            0.062 * s["nose_width"],
            0.058,
            0.085,
        ),
        0.045,
    )
    # lips with the gap between them
    line, half, gap = mouth_line(ax, s)
    mz = 0.715 + 0.25 * s["chin_forward"] - 0.16 * (ax / half).clamp(max=1.3) ** 2
    upper = ellipsoid(
        x, y - line - 0.040 * s["lip_upper"] - 0.3 * gap, z - mz, half, 0.052 * s["lip_upper"], 0.085
    )
    lower = ellipsoid(
        x,
        y - line + 0.048 * s["lip_lower"] + 0.9 * gap,
        z - mz + 0.01,
        half * 0.86,
        0.060 * s["lip_lower"],
        0.090,
    )
    d = join(d, upper, 0.035)
    d = join(d, lower, 0.035)
    opening = gap * 0.72
    d = carve(d, ellipsoid(x, y - line + 0.32 * gap, z - 0.78, half * 0.86, 0.008 + opening, 0.20), 0.015)
    # ears
    out = 0.735 * s["skull_width"] + s["ear_out"]
    ear = ellipsoid(
        ax - out, y - 0.0, z + 0.10 - 0.5 * (ax - out), 0.075, 0.20 * s["ear_size"], 0.13 * s["ear_size"]
    )
    ear = carve(ear, ellipsoid(ax - out - 0.045, y - 0.02, z + 0.04, 0.06, 0.11 * s["ear_size"], 0.08), 0.03)
    return join(d, ear, 0.03)


def _hair(x: Tensor, y: Tensor, z: Tensor, s: Numbers) -> Tensor:
    ax = torch.abs(x)
    afro, curly, long_, bob, bun, bald = (
        s[f"style_{n}"] for n in ("afro", "curly", "long", "bob", "bun", "bald")
    )
    volume = (0.055 + 0.035 * long_ + 0.05 * bob + 0.13 * curly + 0.40 * afro) * s["hair_volume"] + 0.02
    wave = (
        torch.sin(9 * x + 3 * torch.sin(7 * y) + s["pattern"])
        * torch.sin(8 * y + 2.0)
        * torch.sin(9 * z + 1.0)
    )
    fine = torch.sin(23 * x + s["pattern"]) * torch.sin(21 * y) * torch.sin(22 * z)
    lumps = (0.012 * s["hair_wave"] + 0.060 * curly + 0.035 * afro) * wave + (
        0.018 * curly + 0.022 * afro
    ) * fine
    top = 0.30 + s["forehead"]
    d = ellipsoid(
        x,
        y - top - 0.45 * volume,
        z + 0.13,
        0.79 * s["skull_width"] + volume,
        0.84 * s["skull_height"] + 0.7 * volume,
        0.95 + 0.6 * volume,
    )
    # short hair ends above the neck; longer styles hang down at the sides and the back
    d = join(
        d,
        FAR * (1 - torch.clamp(long_ + bob, max=1.0))
        + ellipsoid(
            ax - 0.60, y + 0.28 + 0.42 * long_, z + 0.18, 0.24 + 0.4 * volume, 0.62 + 0.46 * long_, 0.44
        ),
        0.16,
    )
    hem = -0.20 - 0.55 * bob - 1.35 * long_ - 0.25 * curly - 0.20 * afro
    d = torch.maximum(d, -(y - hem - 0.30 * torch.clamp(z, -1, 1)) * 0.8)
    # the face window: forehead down to the chin stays free, a fringe lowers its top
    line = 0.58 + s["forehead"] + s["hair_line"] - 0.20 * s["hair_fringe"] - 0.05 * (x - s["hair_part"]) ** 2
    window = ellipsoid(
        x, y + 0.32, z - 0.98, 0.60 * s["face_width"], line + 0.32, 0.86 - 0.25 * s["hair_fringe"]
    )
    d = carve(d, window, 0.05)
    d = carve(
        d,
        ellipsoid(ax - 0.80, y + 0.05, z - 0.02, 0.18, 0.26, 0.20)
        + FAR * torch.clamp(long_ + bob + afro, max=1.0),
        0.05,
    )
    knot = torch.sqrt(x * x + (y - 1.24) ** 2 + (z + 0.42) ** 2 + 1e-8) - 0.27 * s["hair_volume"]
    d = join(d, knot + FAR * (1 - bun), 0.06) + lumps + FAR * bald
    d = torch.maximum(d, y - hat_base(s) - 0.02 - FAR * (1 - s["hat"]))  # hair goes under the hat
    # beard and moustache are hair, too
    drop = 0.11 * s["mouth_open"]
    beard = (
        ellipsoid(
            x,
            y + 0.74 + s["jaw_drop"] + drop,
            z - 0.33 - 0.6 * s["chin_forward"],
            0.49 * s["jaw_width"] ** 0.6,
            0.36 * s["beard_length"],
            0.47,
        )
        + 0.010 * fine
    )
    line_y, half, gap = mouth_line(ax, s)
    beard = carve(
        beard, ellipsoid(x, y - line_y + 0.02 + 0.3 * gap, z - 0.75, half * 1.02, 0.115 + gap, 0.35), 0.04
    )
    beard = torch.maximum(beard, y + 0.42 - 0.35 * torch.clamp(ax - 0.25, min=0.0))
    d = torch.minimum(d, beard + FAR * (1 - s["beard_full"]))
    lip_top = line_y + 0.105 + 0.3 * gap
    mustache = ellipsoid(
        ax - 0.10, y - lip_top + 0.25 * ax**1.5, z - 0.735 + 0.14 * (ax / half) ** 2, 0.15, 0.042, 0.065
    )
    return torch.minimum(d, mustache + FAR * (1 - s["mustache"]))


def hat_base(s: Numbers) -> Tensor:
    """Height at which a hat sits."""
    return 0.52 + 0.7 * s["forehead"]


def _hat(x: Tensor, y: Tensor, z: Tensor, s: Numbers) -> Tensor:
    base = hat_base(s)
    yy = y - base - 0.10 * z * (1 - s["hat_cap"]) - 0.04
    grow = 1 + 0.25 * s["style_afro"] + 0.06 * s["style_curly"]
    dome = ellipsoid(
        x, y - base, z + 0.12, 0.90 * s["skull_width"] * grow, 0.74 * s["hat_height"], 1.02 * grow
    )
    dome = torch.maximum(dome, -yy)
    ring = ellipsoid(
        x,
        yy,
        z + 0.12 - 0.75 * s["hat_cap"],
        0.90 + 0.42 * s["hat_brim"] - 0.25 * s["hat_cap"],
        0.055,
        1.02 + 0.42 * s["hat_brim"] - 0.30 * s["hat_cap"],
    )
    return torch.minimum(dome, ring + FAR * s["hat_beanie"]) + FAR * (1 - s["hat"])


def _frame(x: Tensor, y: Tensor, z: Tensor, s: Numbers) -> Tensor:
    ax = torch.abs(x)
    ex, ey, ez, _ = eye_center(s)
    u, v, w = ax - ex, (y - ey + 0.015) * s["glasses_aspect"], z - ez - 0.245
    k = s["glasses_square"]
    rim = (torch.abs(u) ** k + torch.abs(v) ** k + 1e-8) ** (1 / k)
    lens = torch.sqrt((rim - s["glasses_size"]) ** 2 + w * w + 1e-8) - s["glasses_wire"]
    bridge = (
        torch.sqrt(torch.clamp(ax - 0.09, min=0.0) ** 2 + (y - ey - 0.03) ** 2 + w * w + 1e-8)
        - s["glasses_wire"]
    )
    temple = (
        torch.sqrt(
            (ax - ex - s["glasses_size"] - 0.32 * torch.clamp(-w, 0, 1)) ** 2
            + (y - ey - 0.03) ** 2
            + torch.clamp(w, min=0.0) ** 2
            + torch.clamp(-w - 0.85, min=0.0) ** 2
            + 1e-8
        )
        - s["glasses_wire"]
    )
    return torch.minimum(torch.minimum(lens, bridge), temple) * 0.8 + FAR * (1 - s["glasses"])


def _teeth(x: Tensor, y: Tensor, z: Tensor, s: Numbers) -> Tensor:
    ax = torch.abs(x)
    line, half, gap = mouth_line(ax, s)
    return ellipsoid(
        x, y - line - 0.035 + 0.10 * gap, z - 0.50 + 0.06 * (ax / half) ** 2, half * 0.9, 0.075, 0.155
    )


def parts(x: Tensor, y: Tensor, z: Tensor, s: Numbers) -> tuple[Tensor, ...]:
    """Distance of world points (B, N) to each of MATERIALS."""
    hx, hy, hz = to_head(x, y, z, s)
    ex, ey, ez, er = eye_center(s)
    skin = _skin(hx, hy, hz, s)
    neck = capsule(x, y, z, -0.62, -0.16, -1.75, -0.30, 0.36 * s["neck_width"], 0.43 * s["neck_width"])
    skin = join(skin, neck, 0.12)
    eye = torch.sqrt((torch.abs(hx) - ex) ** 2 + (hy - ey) ** 2 + (hz - ez) ** 2 + 1e-8) - er
    ax = torch.abs(x)
    torso = ellipsoid(x, y + 2.55, z + 0.32, 1.28 * s["shoulders"], 1.12, 0.62)
    torso = join(torso, ellipsoid(ax - 0.95 * s["shoulders"], y + 2.05, z + 0.32, 0.42, 0.40, 0.40), 0.3)
    collar = s["collar"]
    torso = carve(
        torso, ellipsoid(x, y + 1.38, z - 0.28, 0.30 + 0.12 * collar, 0.22 + 0.30 * collar, 0.42), 0.05
    )
    skin = join(skin, torso + 0.035, 0.10)
    return (
        skin,
        eye,
        _hair(hx, hy, hz, s),
        torso,
        _frame(hx, hy, hz, s),
        _hat(hx, hy, hz, s),
        _teeth(hx, hy, hz, s),
    )


def field(x: Tensor, y: Tensor, z: Tensor, s: Numbers) -> Tensor:
    """Signed distance of world points (B, N) to the nearest part."""
    skin, eye, hair, cloth, frame, hat, teeth = parts(x, y, z, s)
    d = torch.minimum(torch.minimum(skin, eye), torch.minimum(hair, cloth))
    return torch.minimum(torch.minimum(d, frame), torch.minimum(hat, teeth))

"""What changes from picture to picture: pose, light, expression, gaze, accessories, camera, background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from visard.world.people import Person, hair_rgb

BACKGROUNDS = ("plain", "gradient", "room", "park", "night")
DYES = ("red", "blond", "black", "brown")


@dataclass(frozen=True)
class Scene:
    """One picture's circumstances: `numbers` feed the renderer, `words` are what a caption may say."""

    numbers: dict[str, float]
    words: dict[str, str | float | bool]
    seed: int


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Head rotation (3, 3) for angles in degrees: yaw turns to image right, pitch nods up, roll tilts."""
    a, b, c = np.radians([yaw, -pitch, roll])
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    nod = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    tilt = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(tilt @ turn @ nod)


def _color(rng: np.random.Generator, low: float = 0.05, high: float = 0.85) -> np.ndarray:
    hue, saturation, value = rng.uniform(), rng.uniform(0.1, 0.85), rng.uniform(low, high)
    k = (np.array([5.0, 3.0, 1.0]) + hue * 6) % 6
    return value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1)


def _background(rng: np.random.Generator) -> tuple[str, np.ndarray, np.ndarray]:
    kind = str(rng.choice(BACKGROUNDS, p=[0.26, 0.20, 0.22, 0.20, 0.12]))
    first, second = _color(rng, 0.15, 0.9), _color(rng, 0.1, 0.8)
    if kind == "park":
        first = np.array([0.13, 0.30, 0.07]) * np.exp(rng.normal(0, 0.3, 3))
        second = np.array([0.40, 0.58, 0.75]) * np.exp(rng.normal(0, 0.2, 3))
    elif kind == "night":
        first, second = (
            np.array([0.012, 0.015, 0.035]),
            np.array([0.05, 0.045, 0.09]) * np.exp(rng.normal(0, 0.3, 3)),
        )
    elif kind == "room":
        first = np.array([0.62, 0.54, 0.44]) * np.exp(rng.normal(0, 0.22, 3))
        second = np.array([0.30, 0.21, 0.14]) * np.exp(rng.normal(0, 0.3, 3))
    return kind, np.clip(first, 0, 0.95), np.clip(second, 0, 0.95)


def scene(
    person: Person, seed: int, *, glasses: bool | None = None, hat: bool | None = None, frontal: bool = False
) -> Scene:
    """Draws the circumstances of picture `seed` of a person; `glasses` and `hat` can be asked for."""
    rng = np.random.default_rng((0x5CE7E, person.number, seed))
    spread = 0.35 if frontal else 1.0
    yaw = float(np.clip(rng.normal(0, 17), -38, 38)) * spread
    pitch = float(np.clip(rng.normal(0, 7), -16, 16)) * spread
    roll = float(np.clip(rng.normal(0, 5), -12, 12)) * spread
    n: dict[str, float] = {f"r{i}{j}": float(v) for (i, j), v in np.ndenumerate(rotation(yaw, pitch, roll))}

    smile = float(np.clip(rng.choice([rng.normal(0.0, 0.2), rng.normal(0.85, 0.2)]), -0.4, 1.2))
    mouth_open = float(rng.choice([0.0, rng.uniform(0.2, 1.0)], p=[0.55, 0.45])) * (
        0.7 if smile > 0.4 else 0.45
    )
    lids = float(rng.choice([rng.uniform(0.82, 1.15), rng.uniform(0.25, 0.6)], p=[0.92, 0.08]))
    gaze = np.clip(rng.normal(0, 0.20, 2), -0.45, 0.45) * np.array([1.0, 0.6])
    n |= {
        "smile": smile,
        "mouth_open": mouth_open,
        "lids": lids,
        "brow_raise": float(rng.normal(0, 0.4)),
        "gaze_x": float(gaze[0]),
        "gaze_y": float(gaze[1]),
    }

    wears_glasses = bool(rng.random() < 0.22) if glasses is None else glasses
    wears_hat = bool(rng.random() < 0.15) if hat is None else hat
    frame = rng.choice([0, 1, 2], p=[0.5, 0.3, 0.2])
    frame_rgb = (np.array([0.02, 0.02, 0.025]), _color(rng, 0.1, 0.5), np.array([0.55, 0.43, 0.22]))[frame]
    n |= {
        "glasses": float(wears_glasses),
        "glasses_size": float(rng.uniform(0.185, 0.225)),
        "glasses_aspect": float(rng.uniform(1.05, 1.5)),
        "glasses_square": float(rng.choice([2.0, 2.6, 4.0])),
        "glasses_wire": float(rng.uniform(0.017, 0.032)),
    }
    n |= {f"frame_{c}": float(v) for c, v in zip("rgb", frame_rgb, strict=True)}
    hat_kind = str(rng.choice(["brim", "beanie", "cap"]))
    n |= {
        "hat": float(wears_hat),
        "hat_beanie": float(hat_kind == "beanie"),
        "hat_cap": float(hat_kind == "cap"),
        "hat_brim": float(rng.uniform(0.6, 1.1)),
        "hat_height": float(rng.uniform(0.9, 1.15)),
    }
    n |= {f"hat_{c}": float(v) for c, v in zip("rgb", _color(rng, 0.1, 0.8), strict=True)}

    dyed = bool(rng.random() < 0.06) and person.traits["hair_style"] != "bald"
    hair_color = str(rng.choice(DYES)) if dyed else str(person.traits["hair_color"])
    hair = hair_rgb(hair_color, rng) if dyed else tuple(person.shape[f"hair_{c}"] for c in "rgb")
    n |= {f"hair_{c}": float(v) for c, v in zip("rgb", hair, strict=True)}
    n |= {f"cloth_{c}": float(v) for c, v in zip("rgb", _color(rng, 0.08, 0.8), strict=True)}
    n |= {"collar": float(rng.uniform(0, 1)), "cloth_stripes": float(rng.random() < 0.25)}

    kind, first, second = _background(rng)
    n |= {f"back0_{c}": float(v) for c, v in zip("rgb", first, strict=True)}
    n |= {f"back1_{c}": float(v) for c, v in zip("rgb", second, strict=True)}
    n |= {f"back_{k}": float(k == kind) for k in BACKGROUNDS}

    azimuth, height = rng.uniform(-75, 75), rng.uniform(5, 60)
    a, h = np.radians(azimuth), np.radians(height)
    warmth = rng.normal(0, 0.10)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    strength = rng.uniform(0.75, 1.15) * (0.85 if kind == "night" else 1.0)
    fill = rng.uniform(0.28, 0.50)
    n |= {
        "light_x": float(np.sin(a) * np.cos(h)),
        "light_y": float(np.sin(h)),
        "light_z": float(np.cos(a) * np.cos(h)),
        "light_soft": float(rng.uniform(0.15, 0.5)),
    }
    n |= {f"light_{c}": float(v) for c, v in zip("rgb", tint * strength, strict=True)}
    ambient = fill * (0.65 + 0.35 * (first + second) / max(float((first + second).mean()), 0.2))
    n |= {f"fill_{c}": float(v) for c, v in zip("rgb", np.clip(ambient, 0.12, 0.8), strict=True)}

    n |= {
        "camera_distance": float(rng.uniform(5.0, 9.0)),
        "camera_half": float(rng.uniform(1.36, 1.66)),
        "camera_x": float(rng.normal(0, 0.06)),
        "camera_y": float(-0.10 + rng.normal(0, 0.06)),
        "exposure": float(np.exp(rng.normal(0.04, 0.09))),
        "contrast": float(rng.uniform(0.92, 1.1)),
    }
    words: dict[str, str | float | bool] = {
        "yaw": yaw,
        "pitch": pitch,
        "roll": roll,
        "smile": smile,
        "mouth_open": mouth_open,
        "lids": lids,
        "gaze_x": float(gaze[0]),
        "gaze_y": float(gaze[1]),
        "glasses": wears_glasses,
        "hat": wears_hat,
        "hair_color": hair_color,
        "background": kind,
        "noise": float(rng.uniform(0.0, 0.012)),
        "blur": float(rng.choice([0.0, rng.uniform(0.2, 0.6)], p=[0.7, 0.3])),
        "jpeg": float(rng.uniform(80, 96)),
    }
    return Scene(n, words, seed)

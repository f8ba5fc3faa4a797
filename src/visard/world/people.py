"""Who lives in the embedded world: identities sampled from age, presentation and ancestry.

A person is a row of named numbers: everything that stays the same from picture to picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HAIR_COLORS = ("black", "brown", "blond", "red", "gray", "white")
HAIR_STYLES = ("bald", "short", "bob", "long", "curly", "bun", "afro")
BEARDS = ("none", "stubble", "mustache", "beard")
EYE_COLORS = ("brown", "hazel", "green", "blue", "gray")
AGES = ("child", "young", "middle-aged", "elderly")

#: People are numbered; each split owns a range of numbers, so that no person is in two.
SPLITS: dict[str, tuple[int, int]] = {
    "base": (0, 20_000),
    "surrogate": (20_000, 40_000),
    "judge": (40_000, 60_000),
    "regressor": (60_000, 70_000),
    "attacker_train": (70_000, 75_000),
    "attacker_dev": (75_000, 80_000),
    "test": (80_000, 81_000),
    "gallery": (81_000, 90_000),
}

#: Geometry that stays with a person: name -> (mean, standard deviation, effect of presentation,
#: effect of childhood). Presentation runs from -1 (feminine) to 1 (masculine), childhood from 0 to 1.
GEOMETRY: dict[str, tuple[float, float, float, float]] = {
    "skull_width": (1.0, 0.050, 0.01, 0.04),
    "skull_height": (1.0, 0.050, 0.00, 0.06),
    "face_width": (1.0, 0.085, 0.03, 0.05),
    "face_length": (1.0, 0.070, 0.03, -0.10),
    "jaw_width": (1.0, 0.140, 0.12, -0.08),
    "jaw_drop": (0.0, 0.050, 0.02, 0.03),
    "chin_width": (1.05, 0.190, 0.12, -0.10),
    "chin_length": (0.0, 0.055, 0.03, -0.07),
    "chin_forward": (0.0, 0.050, 0.02, -0.04),
    "cheek_width": (1.0, 0.080, 0.00, 0.00),
    "cheek_bone": (1.0, 0.220, -0.02, -0.15),
    "cheek_fat": (1.0, 0.220, -0.05, 0.35),
    "brow_ridge": (1.0, 0.300, 0.28, -0.60),
    "brow_height": (0.0, 0.024, -0.016, 0.015),
    "brow_tilt": (0.0, 0.170, 0.00, 0.00),
    "brow_arch": (0.45, 0.280, -0.15, 0.00),
    "brow_thickness": (1.0, 0.300, 0.18, -0.25),
    "brow_gap": (0.0, 0.030, -0.01, 0.01),
    "eye_spacing": (1.0, 0.080, 0.00, 0.03),
    "eye_height": (0.0, 0.032, 0.00, -0.05),
    "eye_size": (1.0, 0.100, -0.04, 0.16),
    "eye_opening": (1.0, 0.190, -0.04, 0.12),
    "eye_tilt": (0.05, 0.120, -0.03, 0.00),
    "eye_depth": (0.0, 0.028, -0.01, 0.02),
    "nose_length": (1.0, 0.130, 0.05, -0.18),
    "nose_width": (1.0, 0.210, 0.07, -0.05),
    "nose_forward": (0.0, 0.050, 0.02, -0.05),
    "nose_bridge": (1.0, 0.260, 0.10, -0.30),
    "nose_tip": (1.0, 0.200, 0.03, -0.05),
    "nose_tilt": (0.0, 0.040, -0.015, 0.03),
    "mouth_width": (1.0, 0.130, 0.03, -0.12),
    "mouth_height": (0.0, 0.032, 0.00, 0.04),
    "lip_upper": (1.0, 0.280, -0.12, 0.05),
    "lip_lower": (1.0, 0.260, -0.10, 0.05),
    "ear_size": (1.0, 0.130, 0.04, -0.05),
    "ear_out": (0.0, 0.045, 0.01, 0.01),
    "forehead": (0.0, 0.055, 0.01, 0.04),
    "neck_width": (1.0, 0.090, 0.11, -0.22),
    "shoulders": (1.0, 0.080, 0.11, -0.28),
}

_HAIR_RGB = {
    "black": (0.045, 0.038, 0.036),
    "brown": (0.235, 0.130, 0.070),
    "blond": (0.780, 0.600, 0.310),
    "red": (0.560, 0.165, 0.055),
    "gray": (0.430, 0.430, 0.440),
    "white": (0.860, 0.855, 0.840),
}
_EYE_RGB = {
    "brown": (0.190, 0.095, 0.045),
    "hazel": (0.400, 0.270, 0.110),
    "green": (0.270, 0.440, 0.230),
    "blue": (0.210, 0.410, 0.690),
    "gray": (0.450, 0.500, 0.540),
}
#: A walk through skin tones from light to dark (linear-light RGB).
_SKIN_RGB = np.array(
    [
        (0.930, 0.740, 0.640),
        (0.860, 0.640, 0.510),
        (0.740, 0.500, 0.360),
        (0.560, 0.345, 0.225),
        (0.370, 0.210, 0.130),
        (0.205, 0.115, 0.075),
    ]
)


@dataclass(frozen=True)
class Person:
    """One identity of the embedded world: `shape` feeds the renderer, `traits` are its words."""

    number: int
    shape: dict[str, float]
    traits: dict[str, str | float]


def split_people(split: str, count: int) -> range:
    """Numbers of the first `count` people of a split; ValueError when it holds fewer."""
    first, last = SPLITS[split]
    if count > last - first:
        raise ValueError(f"split {split!r} holds {last - first} people, not {count}")
    return range(first, first + count)


def age_word(age: float) -> str:
    """The caption's word for an age in years."""
    return AGES[int(np.digitize(age, (13, 35, 60)))]


def hair_rgb(color: str, rng: np.random.Generator) -> tuple[float, float, float]:
    """A shade of a hair colour (linear-light RGB)."""
    base = np.array(_HAIR_RGB[color]) * np.exp(rng.normal(0, 0.14)) * np.exp(rng.normal(0, 0.05, 3))
    return tuple(np.clip(base, 0.01, 0.95))


def _hair_style(rng: np.random.Generator, feminine: float, age: float, tone: float) -> str:
    weights = {
        "bald": 0.02 + 0.30 * (1 - feminine) * (age > 35),
        "short": 0.25 + 0.90 * (1 - feminine),
        "bob": 0.08 + 0.60 * feminine,
        "long": 0.06 + 0.80 * feminine * (1.3 - age / 100),
        "curly": 0.30,
        "bun": 0.02 + 0.40 * feminine,
        "afro": 0.03 + 0.35 * (tone > 0.55),
    }
    p = np.array([weights[s] for s in HAIR_STYLES])
    return str(rng.choice(HAIR_STYLES, p=p / p.sum()))


def _hair_color(rng: np.random.Generator, age: float, tone: float) -> str:
    gray = np.clip((age - 42) / 35, 0, 0.92)
    if rng.random() < gray:
        return "white" if rng.random() < np.clip((age - 50) / 40, 0, 0.8) else "gray"
    light = 1 - tone
    p = np.array([0.30 + 0.9 * tone, 0.42, 0.05 + 0.42 * light, 0.05 + 0.22 * light])
    return str(rng.choice(HAIR_COLORS[:4], p=p / p.sum()))


def person(number: int) -> Person:
    """The person of that number: the same for everyone, always."""
    rng = np.random.default_rng((0x5A5D, number))
    presentation = float(np.clip(rng.choice([-0.75, 0.75]) + rng.normal(0, 0.28), -1.25, 1.25))
    feminine = 1 / (1 + np.exp(4 * presentation))
    age = float(
        rng.choice(
            [rng.uniform(6, 13), rng.uniform(18, 35), rng.uniform(35, 60), rng.uniform(60, 85)],
            p=[0.14, 0.38, 0.28, 0.20],
        )
    )
    child = float(np.clip((16 - age) / 8, 0, 1))
    old = float(np.clip((age - 38) / 40, 0, 1))
    presentation_shape = presentation * (1 - 0.7 * child)

    shape: dict[str, float] = {}
    for name, (mean, spread, by_presentation, by_child) in GEOMETRY.items():
        z = np.clip(rng.normal(), -2.3, 2.3)
        shape[name] = float(mean + spread * z + by_presentation * presentation_shape + by_child * child)
    shape["cheek_fat"] -= 0.25 * old
    shape["ear_size"] += 0.12 * old
    shape["nose_length"] += 0.05 * old
    shape["eye_opening"] -= 0.14 * old

    tone = float(rng.beta(1.1, 1.3))
    at = tone * (len(_SKIN_RGB) - 1)
    low = min(int(at), len(_SKIN_RGB) - 2)
    skin = (_SKIN_RGB[low] * (1 - at + low) + _SKIN_RGB[low + 1] * (at - low)) * np.exp(
        rng.normal(0, 0.045, 3)
    )
    hair_color = _hair_color(rng, age, tone)
    style = _hair_style(rng, feminine, age, tone)
    eye_p = np.array([0.35 + 1.2 * tone, 0.16, 0.14 * (1 - tone), 0.30 * (1 - tone), 0.12 * (1 - tone)])
    eye_color = str(rng.choice(EYE_COLORS, p=eye_p / eye_p.sum()))
    beard = "none"
    if presentation > 0.2 and age > 18:
        beard = str(rng.choice(BEARDS, p=[0.50, 0.20, 0.10, 0.20]))
    lips = skin * np.array([0.95, 0.62, 0.60]) * np.exp(rng.normal(0, 0.10, 3))
    hair = np.array(hair_rgb(hair_color, rng))
    brow = hair * (0.75 if hair_color not in ("white", "gray") else 0.9)
    shape |= {f"skin_{c}": float(v) for c, v in zip("rgb", np.clip(skin, 0.02, 0.97), strict=True)}
    shape |= {f"lip_{c}": float(v) for c, v in zip("rgb", np.clip(lips, 0.02, 0.9), strict=True)}
    shape |= {f"hair_{c}": float(v) for c, v in zip("rgb", hair, strict=True)}
    shape |= {f"brow_{c}": float(v) for c, v in zip("rgb", brow, strict=True)}
    iris = np.array(_EYE_RGB[eye_color]) * np.exp(rng.normal(0, 0.12, 3))
    shape |= {f"iris_{c}": float(v) for c, v in zip("rgb", iris, strict=True)}
    shape |= {
        "age_lines": old,
        "freckles": float(rng.random() < 0.28 * (1 - tone)) * float(rng.uniform(0.5, 1.0)),
        "blush": float(rng.uniform(0, 1)),
        "pattern": float(rng.uniform(0, 100)),
        "stubble": {"none": 0.0, "stubble": 1.0, "mustache": 0.35, "beard": 0.6}[beard],
        "beard_full": float(beard == "beard"),
        "beard_length": float(rng.uniform(0.75, 1.3)),
        "mustache": float(beard in ("mustache", "beard")),
        "hair_volume": float(rng.uniform(0.6, 1.4)),
        "hair_line": float(rng.normal(0, 0.045) + 0.07 * old * (presentation > 0)),
        "hair_fringe": float(rng.random() < 0.35) * float(rng.uniform(0.4, 1.0)),
        "hair_wave": float(rng.uniform(0, 1)),
        "hair_part": float(rng.normal(0, 0.25)),
    }
    shape |= {f"style_{s}": float(style == s) for s in HAIR_STYLES}
    for i in range(3):
        side = rng.choice([-1.0, 1.0])
        shape[f"mole{i}_x"] = float(side * rng.uniform(0.06, 0.50))
        shape[f"mole{i}_y"] = float(rng.uniform(-0.80, 0.42))
        shape[f"mole{i}_size"] = float(rng.random() < 0.42) * float(rng.uniform(0.022, 0.042))
    traits: dict[str, str | float] = {
        "age": age,
        "age_word": age_word(age),
        "presentation": presentation,
        "gender_word": "man" if presentation > 0.35 else "woman" if presentation < -0.35 else "person",
        "skin_tone": tone,
        "skin_word": ("light", "tan", "dark")[int(np.digitize(tone, (0.33, 0.66)))],
        "hair_color": hair_color,
        "hair_style": style,
        "eye_color": eye_color,
        "beard": beard,
        "freckles": float(shape["freckles"] > 0),
    }
    return Person(number, shape, traits)

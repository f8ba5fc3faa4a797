"""Rendered sets of people with their truth, made in shards that survive an interruption."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from visard.errors import InputError
from visard.progress import Progress, silent
from visard.storage import atomic_write
from visard.world.captions import STYLES, caption
from visard.world.people import (
    AGES,
    BEARDS,
    EYE_COLORS,
    HAIR_COLORS,
    HAIR_STYLES,
    SPLITS,
    Person,
    person,
    split_people,
)
from visard.world.renderer import SIZE, render
from visard.world.scene import BACKGROUNDS, Scene, scene
from visard.world.styles import FILTERS

CLASSES: dict[str, tuple[str, ...]] = {
    "hair_color": HAIR_COLORS,
    "hair_style": HAIR_STYLES,
    "beard": BEARDS,
    "eye_color": EYE_COLORS,
    "age_word": AGES,
    "background": BACKGROUNDS,
    "style": STYLES,
}
_BATCH = 16
_SHARD = 512


@dataclass
class Pictures:
    """One rendered set: N pictures and what is true of them."""

    pixels: np.ndarray  # (N, S, S, 3) uint8
    person: np.ndarray  # (N,) int64
    landmarks: np.ndarray  # (N, 5, 2) float32, (x, y), pixel centres at integers
    boxes: np.ndarray  # (N, 4) float32, x1 y1 x2 y2
    truth: dict[str, np.ndarray]  # (N,) numbers; the classes of CLASSES as indices
    captions: list[str]

    def __len__(self) -> int:
        return len(self.pixels)


def photograph(
    pixels: np.ndarray, circumstances: Scene, style: str, rng: np.random.Generator, jpeg: bool = True
) -> np.ndarray:
    """What a camera, or an artist, makes of a render: style filter, blur, noise, JPEG; uint8 in and out."""
    image = Image.fromarray(pixels)
    words = circumstances.words
    if style in FILTERS:
        image = FILTERS[style](image, rng)
    if float(words["blur"]) > 0:
        image = image.filter(ImageFilter.GaussianBlur(float(words["blur"])))
    noisy = np.asarray(image, np.float32) + rng.normal(0, 255 * float(words["noise"]), pixels.shape)
    image = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    if jpeg:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(float(words["jpeg"])))
        image = Image.open(buffer)
    return np.asarray(image)


def _truth(who: Person, circumstances: Scene, style: str) -> dict[str, float]:
    words = {**who.traits, **circumstances.words, "style": style}
    truth = {
        name: float(words[name])
        for name in (
            "age",
            "presentation",
            "skin_tone",
            "yaw",
            "pitch",
            "roll",
            "gaze_x",
            "gaze_y",
            "smile",
            "mouth_open",
            "lids",
            "glasses",
            "hat",
        )
    }
    return truth | {name: float(options.index(str(words[name]))) for name, options in CLASSES.items()}


def _shards(split: str, people: int, per_person: int) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    jobs = [(number, k) for number in split_people(split, people) for k in range(per_person)]
    for index, first in enumerate(range(0, len(jobs), _SHARD)):
        yield index, jobs[first : first + _SHARD]


def render_split(
    split: str,
    people: int,
    per_person: int,
    folder: Path,
    *,
    styles: float = 0.0,
    zoom: float = 1.0,
    part: tuple[int, int] = (0, 1),
    progress: Progress = silent,
) -> None:
    """Renders `people` x `per_person` pictures of a split into shards under `folder / split`.

    Finished shards are skipped. `styles` is the share of pencil and watercolour pictures, `zoom` < 1 renders
    the face region alone at the same pixel density, `part=(i, n)` renders every n-th shard (for n processes).
    """
    if split not in SPLITS:
        raise InputError(f"The world has no people called '{split}'.", f"Choose one of: {', '.join(SPLITS)}.")
    target = folder / split
    target.mkdir(parents=True, exist_ok=True)
    size = round(SIZE * zoom / 8) * 8
    shards = [s for s in _shards(split, people, per_person) if s[0] % part[1] == part[0]]
    for done, (index, jobs) in enumerate(shards):
        file = target / f"shard-{index:05d}.npz"
        if not file.exists():
            atomic_write(file, _render_shard(jobs, size, size / SIZE, styles))
        progress(f"rendering {split}", done + 1, len(shards))


def _render_shard(jobs: list[tuple[int, int]], size: int, zoom: float, styles: float) -> bytes:
    pixels, landmarks, boxes, captions, truths = [], [], [], [], []
    for first in range(0, len(jobs), _BATCH):
        batch = jobs[first : first + _BATCH]
        padded = batch + [batch[-1]] * (_BATCH - len(batch))  # one batch size, compiled once
        people = [person(number) for number, _ in padded]
        scenes = [scene(p, k) for p, (_, k) in zip(people, padded, strict=True)]
        drawn = render(people, scenes, size=size, zoom=zoom)
        for i, (number, k) in enumerate(batch):
            rng = np.random.default_rng((0xCA9, number, k))
            style = str(rng.choice(STYLES, p=[1 - styles, styles / 2, styles / 2]))
            pixels.append(photograph(drawn.pixels[i], scenes[i], style, rng))
            captions.append(caption(people[i], scenes[i], style, rng))
            truths.append(_truth(people[i], scenes[i], style))
        landmarks.append(drawn.landmarks[: len(batch)])
        boxes.append(drawn.boxes[: len(batch)])
    buffer = io.BytesIO()
    columns: dict[str, Any] = dict(
        pixels=np.stack(pixels),
        person=np.array([n for n, _ in jobs]),
        captions=np.array(captions),
        landmarks=np.concatenate(landmarks),
        boxes=np.concatenate(boxes),
        **{f"truth.{k}": np.array([t[k] for t in truths], np.float32) for k in truths[0]},
    )
    np.savez(buffer, **columns)
    return buffer.getvalue()


def load(split: str, folder: Path) -> Pictures:
    """Reads a rendered split; FileNotFoundError when nothing is there."""
    files = sorted((folder / split).glob("shard-*.npz"))
    if not files:
        raise FileNotFoundError(f"no rendered pictures of split {split!r} in {folder}; render them first")
    shards = [np.load(f, allow_pickle=False) for f in files]
    columns = {name: np.concatenate([s[name] for s in shards]) for name in shards[0].files}
    truth = {k.removeprefix("truth."): v for k, v in columns.items() if k.startswith("truth.")}
    return Pictures(
        columns["pixels"],
        columns["person"],
        columns["landmarks"],
        columns["boxes"],
        truth,
        [str(c) for c in columns["captions"]],
    )

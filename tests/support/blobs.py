"""Stand-in people: coloured blobs with true landmarks, made in milliseconds where renders take minutes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from visard.world.dataset import CLASSES, Pictures

TEMPLATE = np.array([[-18, -12], [18, -12], [0, 8], [-14, 27], [14, 27]], np.float32)
QUANTITIES = (
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
)


def stand_in(people: int, per_person: int, first: int = 0, size: int = 128) -> Pictures:
    """`people` x `per_person` pictures of blobs numbered from `first`; colours are the identity."""
    rng = np.random.default_rng(first)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    pixels, persons, landmarks, boxes = [], [], [], []
    truth: dict[str, list[float]] = {name: [] for name in (*QUANTITIES, "lids", "glasses", "hat", *CLASSES)}
    for number in range(first, first + people):
        colors = np.random.default_rng(number).uniform(30, 225, (6, 3))
        for _ in range(per_person):
            scale, center = rng.uniform(0.85, 1.15) * size / 128, rng.uniform(58, 70, 2) * size / 128
            angle = rng.normal(0, 0.1)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            points = TEMPLATE @ turn.T * scale + center
            picture = np.broadcast_to(rng.uniform(0, 255, 3), (size, size, 3)).copy()
            for (cx, cy), radius, color in (
                (center, 44 * scale, colors[0]),
                *zip(
                    points, (7 * scale, 7 * scale, 6 * scale, 6 * scale, 6 * scale), colors[1:], strict=True
                ),
            ):
                picture[(x - cx) ** 2 + (y - cy) ** 2 < radius**2] = color
            picture *= rng.uniform(0.8, 1.1)
            pixels.append(np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8))
            persons.append(number)
            landmarks.append(points)
            boxes.append(np.concatenate([center - 44 * scale, center + 44 * scale]))
            for name in QUANTITIES:
                truth[name].append(float(colors[0].mean() / 255 if name != "roll" else np.degrees(angle)))
            for name in ("lids", "glasses", "hat"):
                truth[name].append(float(colors[1, 0] > 128))
            for name, classes in CLASSES.items():
                truth[name].append(float(int(colors[2, 0]) % len(classes)))
    return Pictures(
        np.stack(pixels),
        np.array(persons),
        np.stack(landmarks).astype(np.float32),
        np.stack(boxes).astype(np.float32),
        {name: np.array(values, np.float32) for name, values in truth.items()},
        ["a photo of a person"] * len(pixels),
    )


def save(pictures: Pictures, folder: Path) -> None:
    """One shard, as `visard.world.dataset.load` reads it."""
    folder.mkdir(parents=True)
    np.savez(
        folder / "shard-00000.npz",
        pixels=pictures.pixels,
        person=pictures.person,
        landmarks=pictures.landmarks,
        boxes=pictures.boxes,
        captions=np.array(pictures.captions),
        **{f"truth.{name}": values for name, values in pictures.truth.items()},
    )

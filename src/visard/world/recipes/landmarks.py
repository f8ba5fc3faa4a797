"""Trains the regressor that refines a detector's landmarks, and measures it behind that detector."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from visard.faces.alignment import similarity_transform, template, warp
from visard.faces.architectures import ARCHITECTURES
from visard.faces.recognizer import InputSpec
from visard.faces.refinement import HEAD, RefinedDetector, outputs
from visard.faces.regressor import FaceRegressor, Head, RegressorRow
from visard.faces.scrfd import DetectorRow, Scrfd
from visard.world.dataset import Pictures, load
from visard.world.recipes import Job, recognition
from visard.world.recipes.augmentation import (
    add_noise,
    coarsen,
    compress,
    jitter_landmarks,
    recolor,
    uniform,
)
from visard.world.recipes.card import export, training_facts, write_card
from visard.world.recipes.crops import pictures_at
from visard.world.recipes.detector import kit_row as detector_row
from visard.world.recipes.training import Batches, Clock, Figures, seeded

SPLIT = "base"
SIZE = 64
MARGIN = 0.25
BATCH = 96
LEARNING_RATE = 3e-3
ROUGH = (0.02, 0.13)
"""How far off the landmarks to refine are in training, in eye distances: as after a look and as detected."""
SPREAD = 0.04
CONFIG: dict[str, Any] = {"widths": [24, 48, 96, 128], "units": [1, 2, 2, 2], "dropout": 0.0, "pool": 4}


def build(name: str, job: Job) -> dict[str, Any]:
    """Train, export and measure the refinement. Needs the detector in `job.out`; `base` and `gallery`."""
    file = job.out / "landmarks.safetensors"
    pictures = load(SPLIT, job.data)
    network = seeded(job.seed, lambda: ARCHITECTURES["regressor"](heads={HEAD: 10}, **CONFIG))
    job.begin(network, file.name)
    head, target = landmark_head(), template(SIZE, MARGIN)
    true = torch.from_numpy(pictures.landmarks).float()
    batches = Batches(len(pictures), BATCH, job.seed)

    def step(clock: Clock) -> tuple[Tensor, Figures]:
        chosen = batches(clock.step)
        deviation = uniform((len(chosen), 1, 1), *ROUGH, clock.generator, true)
        rough = jitter_landmarks(true[chosen], deviation, clock.generator)
        matrices = similarity_transform(rough, target)
        crops = warp(pictures_at(pictures, chosen, job.device), matrices.to(job.device), SIZE)
        crops = compress(coarsen(recolor(crops, clock.generator), clock.generator), clock.generator)
        raw = network(add_noise(crops, clock.generator).to(memory_format=torch.channels_last))[HEAD]
        wanted = head.standardise(in_crop(true[chosen], matrices).flatten(1) / SIZE).to(job.device)
        return F.smooth_l1_loss(raw.float(), wanted, beta=0.05), {}

    trained = job.train(
        name,
        step,
        {"network": network},
        lr=LEARNING_RATE,
        batch=BATCH,
    )
    row = kit_row()
    export(network, file, row)
    scores = measure(job.out, file, load("gallery", job.data))
    write_card(
        file,
        title="landmarks: refinement of the detector's",
        purpose="Reads the five landmarks again on the aligned crop.",
        facts=training_facts(trained, job, file, network, batch=BATCH, pictures=len(pictures)),
        scores=scores,
        row=row,
    )
    return scores


def landmark_head() -> Head:
    """Landmarks as shares of the crop, centred on the template."""
    mean = (template(SIZE, MARGIN) / SIZE).flatten().tolist()
    return Head(HEAD, "continuous", tuple(outputs()), tuple(mean), (SPREAD,) * 10, "share of the crop")


def in_crop(landmarks: Tensor, matrices: Tensor) -> Tensor:
    """Picture coordinates (B, 5, 2) to the crop's."""
    return landmarks @ matrices[:, :, :2].mT + matrices[:, :, 2].unsqueeze(1)


def kit_row() -> dict[str, Any]:
    """The refinement's row of a kit, its file relative to the folder of models."""
    return {
        "name": "landmarks",
        "architecture": "regressor",
        "file": "landmarks.safetensors",
        "input": {"size": SIZE, "channels": "RGB", "mean": 127.5, "scale": 127.5},
        "margin": MARGIN,
        "config": CONFIG,
        "heads": [asdict(landmark_head())],
    }


def measure(models: Path, file: Path, pictures: Pictures) -> dict[str, float]:
    """Landmark error in eye distances behind the shipped detector, before and after."""
    detector = detector_row()
    rough = Scrfd.load(DetectorRow(**{**detector, "file": models / detector["file"]}))
    row = RegressorRow("landmarks", file, InputSpec(SIZE), (landmark_head(),), MARGIN, config=CONFIG)
    refined = RefinedDetector(rough, FaceRegressor.load(row))
    errors: dict[str, list[Tensor]] = {"before": [], "after": []}
    for batch in torch.split(recognition.held_out(pictures), 64):
        whole = pictures_at(pictures, batch)
        for name, each in (("before", rough), ("after", refined)):
            for index, faces in zip(batch, each.detect(whole), strict=True):
                true = torch.from_numpy(pictures.landmarks[int(index)])
                if faces:
                    errors[name].append((faces[0].landmarks - true).norm(dim=-1) / (true[0] - true[1]).norm())
    return {
        f"landmark error / eye distance, {name}": float(torch.stack(found).mean())
        for name, found in errors.items()
    } | {"faces": len(errors["after"])}

"""Trains the world's face detector on composed canvases, and measures it on people it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from visard.faces.architectures.reduced import REDUCED
from visard.faces.detector import Detector, Face, overlap
from visard.faces.scrfd import DetectorRow, Scrfd, normalise
from visard.world.dataset import Pictures, load
from visard.world.recipes import Job, recognition
from visard.world.recipes.anchors import Anchors, detection_loss
from visard.world.recipes.augmentation import add_noise, coarsen, compress, recolor
from visard.world.recipes.canvases import SIDE, compose, ellipse, textures
from visard.world.recipes.card import export, training_facts, write_card
from visard.world.recipes.crops import pictures_at
from visard.world.recipes.training import Batches, Clock, Figures, seeded

BATCH = 48
LEARNING_RATE = 3e-3
SPLIT = "base"
SIZES = (128, 96)
THRESHOLD = 0.5
LOWEST = 0.02
"""The threshold while measuring, low enough to read every operating point."""
FALSE_FACES = 1e-3
"""Per picture: where recall is read."""
HIT = 0.5
"""Intersection over union from which a detection is the face."""


def build(name: str, job: Job) -> dict[str, Any]:
    """Train, export and measure the detector. `job.data` holds the splits `base` and `gallery`."""
    file = job.out / "detector.safetensors"
    member = REDUCED[name]
    pictures = load(SPLIT, job.data)
    network = seeded(job.seed, member.build)
    job.begin(network, file.name)
    anchors = Anchors.of(SIDE, job.device)
    fronts, backs = (Batches(len(pictures), BATCH, job.seed + offset) for offset in (0, 1))

    def step(clock: Clock) -> tuple[Tensor, Figures]:
        batch = compose(fronts(clock.step), backs(clock.step), pictures, clock.generator)
        canvas = spoil(batch.pictures.to(job.device), clock.generator)
        outputs = network(normalise(canvas).to(memory_format=torch.channels_last))
        truth = (part.to(job.device) for part in (batch.boxes, batch.landmarks, batch.present))
        parts = detection_loss(outputs, anchors, *truth)
        return torch.stack(list(parts.values())).sum(), parts

    trained = job.train(
        name,
        step,
        {"network": network},
        lr=LEARNING_RATE,
        batch=BATCH,
        # Depthwise convolutions are slower backwards in bfloat16, and landmarks want the digits.
        bf16=False,
    )
    row = kit_row()
    export(network, file, row)
    scores = measure(
        Scrfd.load(DetectorRow(**{**row, "file": file, "threshold": LOWEST})), load("gallery", job.data)
    )
    write_card(
        file,
        title="detector: SCRFD micro",
        purpose="The face detector of the embedded world, with five landmarks.",
        facts=training_facts(trained, job, file, network, batch=BATCH, pictures=len(pictures)),
        scores=scores,
        row=row,
    )
    return scores


def spoil(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """What lies between a scene and a file: light, resolution, JPEG, noise."""
    spoiled = compress(coarsen(recolor(pictures, generator), generator), generator)
    return add_noise(spoiled, generator)


def kit_row() -> dict[str, Any]:
    """The detector's row of a kit, its file relative to the folder of models."""
    return {
        "name": "scrfd-micro",
        "architecture": "scrfd_micro",
        "file": "detector.safetensors",
        "sizes": SIZES,
        "threshold": THRESHOLD,
        "config": {},
    }


@torch.no_grad()
def measure(detector: Detector, pictures: Pictures) -> dict[str, float]:
    """Recall at one false face in 1000 pictures and as shipped; the landmarks' error in eye distances.

    False faces are counted in the pictures, beside the person, and in the same pictures with the face erased.
    `detector` runs at a low threshold so that every operating point can be read.
    """
    indices = recognition.held_out(pictures)
    generator = torch.Generator().manual_seed(0)
    boxes = torch.from_numpy(pictures.boxes).float()
    landmarks = torch.from_numpy(pictures.landmarks).float()
    hits, errors, false = [], [], []
    for batch in torch.split(indices, 64):
        whole = pictures_at(pictures, batch)
        for index, faces in zip(batch.tolist(), detector.detect(whole), strict=True):
            hit, rest = _match(faces, boxes[index])
            hits.append(hit.score if hit is not None else 0.0)
            false += [face.score for face in rest]
            if hit is not None and hit.score >= THRESHOLD:
                eyes = (landmarks[index, 1] - landmarks[index, 0]).norm()
                errors.append(float((hit.landmarks - landmarks[index]).norm(dim=-1).mean() / eyes))
        erased = torch.where(ellipse(boxes[batch])[:, None], textures(len(batch), generator), whole)
        false += [face.score for faces in detector.detect(erased) for face in faces]
    scores, false_scores = torch.tensor(hits), torch.tensor(false).sort(descending=True).values
    allowed = int(FALSE_FACES * 2 * len(indices))
    threshold = float(false_scores[allowed]) if len(false_scores) > allowed else 0.0
    return {
        "recall at 1 false face per 1000 pictures": float((scores > threshold).float().mean()),
        "score there": threshold,
        f"recall at score {THRESHOLD}": float((scores >= THRESHOLD).float().mean()),
        f"false faces per picture at score {THRESHOLD}": float((false_scores >= THRESHOLD).sum())
        / (2 * len(indices)),
        "landmark error / eye distance": sum(errors) / len(errors) if errors else float("nan"),
        "pictures": len(indices),
    }


def _match(faces: Sequence[Face], box: Tensor) -> tuple[Face | None, list[Face]]:
    """The best-scored detection of the true face, and all others."""
    for place, face in enumerate(faces):
        if float(overlap(box, face.box[None])[0]) >= HIT:
            return face, [*faces[:place], *faces[place + 1 :]]
    return None, list(faces)

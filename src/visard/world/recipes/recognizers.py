"""Trains the world's recognisers: four surrogates and, on other people and with other losses, four judges."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from visard.faces.architectures.reduced import DIMENSION, REDUCED, Reduced
from visard.faces.recognizer import InputSpec, Recognizer, RecognizerRow
from visard.world.dataset import load
from visard.world.recipes import Job, recognition
from visard.world.recipes.augmentation import add_noise, coarsen, compress, cut_out, flip, recolor
from visard.world.recipes.card import export, training_facts, write_card
from visard.world.recipes.crops import FaceCrops
from visard.world.recipes.losses import LOSSES
from visard.world.recipes.quick import quicken
from visard.world.recipes.training import Batches, Clock, Figures, ramp, seeded

BATCH = 128
LEARNING_RATE = 2e-3
LANDMARK_ERROR = 0.03
MARGIN_RAMP = (0.1, 0.5)
"""Shares of the budget between which a loss's margin grows from nothing to its own."""


@dataclass(frozen=True)
class Plan:
    """How one recogniser is trained; the papers' scale of 64 is for 10^5 people, 32 suits thousands.

    bf16: off where depthwise convolutions dominate, whose backward pass is slower in bfloat16.
    """

    loss: str
    settings: dict[str, float] = field(default_factory=dict)
    channels: str = "RGB"
    mean: float = 127.5
    scale: float = 127.5
    bf16: bool = True


PLANS: dict[str, Plan] = {
    "irse": Plan("cosface", {"scale": 32.0}),
    "ir": Plan("cosface", {"scale": 32.0}),
    "mobileface": Plan("cosface", {"scale": 32.0}, bf16=False),
    "facenet": Plan("cosface", {"scale": 32.0}),
    "arcface": Plan("arcface", {"scale": 32.0, "margin": 0.4}),
    "adaface": Plan("adaface", {"scale": 32.0}, channels="BGR"),
    "magface": Plan("magface", {"scale": 32.0}, channels="BGR", mean=0.0, scale=255.0),
    "elasticface": Plan("elasticface", {"scale": 32.0, "margin": 0.4}),
}


def build(name: str, job: Job) -> dict[str, Any]:
    """Train, export and measure one recogniser. `job.data` holds its role's split and `gallery`."""
    member, plan = REDUCED[name], PLANS[name]
    row = kit_row(name)
    file = job.out / row["file"]
    pictures = load(member.role, job.data)
    people, labels = np.unique(pictures.person, return_inverse=True)
    network = quicken(seeded(job.seed, member.build))
    job.begin(network, row["file"])
    head = seeded(job.seed + 1, lambda: LOSSES[plan.loss](len(people), DIMENSION, **plan.settings))
    spec = InputSpec(**row["input"])
    crops = FaceCrops(pictures, member.input_size, device=job.device)
    truth = torch.from_numpy(labels).to(job.device)
    batches = Batches(len(pictures), BATCH, job.seed)

    def step(clock: Clock) -> tuple[Tensor, Figures]:
        indices = batches(clock.step)
        faces = augment(crops(indices, clock.generator, LANDMARK_ERROR), clock.generator)
        margin = ramp(clock.spent, *MARGIN_RAMP)
        embeddings = raw_embeddings(network, spec.prepare(faces))
        loss, accuracy = head(embeddings, truth[indices.to(job.device)], margin, clock.generator)
        return loss, {"accuracy": accuracy, "ramp": margin}

    trained = job.train(
        name,
        step,
        {"network": network, "head": head},
        lr=LEARNING_RATE,
        weight_decay=0.05,
        batch=BATCH,
        bf16=plan.bf16,
    )
    export(network, file, row)
    shipped = Recognizer.load(RecognizerRow(**{**row, "file": file, "input": spec}))
    scores = recognition.measure(shipped, load("gallery", job.data))
    write_card(
        file,
        title=f"{name}: {member.family}",
        purpose=f"A {member.role} face recogniser of the embedded world, trained with {plan.loss}.",
        facts=training_facts(
            trained,
            job,
            file,
            network,
            batch=BATCH,
            people=len(people),
            pictures=len(pictures),
            loss=f"{plan.loss} {plan.settings}",
        ),
        scores=scores,
        row=row,
    )
    return scores


def augment(faces: Tensor, generator: torch.Generator) -> Tensor:
    """What befalls a face between two photos: mirror, light, resolution, JPEG, noise, an obstacle."""
    faces = recolor(flip(faces, generator), generator)
    faces = compress(coarsen(faces, generator), generator)
    return cut_out(add_noise(faces, generator), generator)


def raw_embeddings(network: nn.Module, inputs: Tensor) -> Tensor:
    """Embeddings before normalising; AdaFace's network gives direction and length apart."""
    output = network(inputs.to(memory_format=torch.channels_last))
    if isinstance(output, tuple):
        direction, length = output
        output = direction * length
    embeddings: Tensor = output
    return embeddings


def kit_row(name: str) -> dict[str, Any]:
    """The recogniser's row of a kit, its file relative to the folder of models."""
    member, plan = REDUCED[name], PLANS[name]
    return {
        "name": name,
        "role": member.role,
        "architecture": member.architecture,
        "file": f"{member.role}s/{name}.safetensors",
        "family": member.family,
        "input": {
            "size": member.input_size,
            "channels": plan.channels,
            "mean": plan.mean,
            "scale": plan.scale,
        },
        "config": _plain(member),
    }


def _plain(member: Reduced) -> dict[str, Any]:
    """A configuration as JSON and TOML have it: lists for tuples."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in member.config.items()}

"""Trains the world's face regressor: one network, a head for each kind of truth renders know of a face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from visard.faces.architectures.reduced import REDUCED
from visard.faces.recognizer import InputSpec
from visard.faces.regressor import FaceRegressor, Head, RegressorRow, head_sizes
from visard.world.dataset import CLASSES, Pictures, load
from visard.world.recipes import Job, recognition
from visard.world.recipes.augmentation import add_noise, coarsen, compress, recolor
from visard.world.recipes.card import export, training_facts, write_card
from visard.world.recipes.crops import FaceCrops
from visard.world.recipes.training import Batches, Clock, Figures, seeded

SPLIT = "regressor"
NAME = "attributes"
SIZE = 96
MARGIN = 0.4
"""Hair and hats lie outside of the ArcFace crop: this one is 1.8 times as wide."""
BATCH = 128
LEARNING_RATE = 3e-3
LANDMARK_ERROR = 0.03

CATEGORICAL = ("hair_color", "hair_style", "beard")
BINARY = {"accessories": ("glasses", "hat")}
CONTINUOUS: dict[str, tuple[tuple[str, ...], str]] = {
    "age": (("age",), "years"),
    "skin_tone": (("skin_tone",), "0 light to 1 dark"),
    "presentation": (("presentation",), "-1 feminine to 1 masculine"),
    # Roll is not here: alignment takes it out of the crop, and the landmarks tell it.
    "pose": (("yaw", "pitch"), "degrees"),
    "gaze": (("gaze_x", "gaze_y"), "radians"),
    "expression": (("smile", "mouth_open", "lids"), "share of full"),
}
MIRRORED = ("yaw", "gaze_x")
"""Quantities that change sign in a mirror."""


def build(name: str, job: Job) -> dict[str, Any]:
    """Train, export and measure the regressor. `job.data` holds the splits `regressor` and `gallery`."""
    file = job.out / "regressors.safetensors"
    pictures = load(SPLIT, job.data)
    heads = heads_for(pictures)
    network = seeded(job.seed, lambda: REDUCED["regressor"].build(heads=head_sizes(heads)))
    job.begin(network, file.name)
    crops = FaceCrops(pictures, SIZE, margin=MARGIN, device=job.device)
    truth = targets(pictures, heads)
    batches = Batches(len(pictures), BATCH, job.seed)

    def step(clock: Clock) -> tuple[Tensor, Figures]:
        indices = batches(clock.step)
        faces = crops(indices, clock.generator, LANDMARK_ERROR)
        mirror = bool(torch.rand((), generator=clock.generator) < 0.5)
        if mirror:
            faces = faces.flip(-1)
        faces = compress(coarsen(recolor(faces, clock.generator, 0.1), clock.generator), clock.generator)
        raw = network(add_noise(faces, clock.generator).to(memory_format=torch.channels_last))
        wanted = {head: values[indices].to(job.device) for head, values in truth.items()}
        parts = head_losses(heads, raw, wanted, mirror)
        return torch.stack(list(parts.values())).sum(), parts

    trained = job.train(
        name,
        step,
        {"network": network},
        lr=LEARNING_RATE,
        batch=BATCH,
    )
    row = kit_row(heads)
    export(network, file, row)
    shipped = FaceRegressor.load(RegressorRow(NAME, file, InputSpec(SIZE), heads, MARGIN))
    scores = measure(shipped, load("gallery", job.data))
    write_card(
        file,
        title="regressors: attributes, pose, gaze, expression",
        purpose="What the embedded world reads from a face besides identity, with the errors it makes.",
        facts=training_facts(
            trained,
            job,
            file,
            network,
            batch=BATCH,
            people=len(np.unique(pictures.person)),
            pictures=len(pictures),
        ),
        scores=scores,
        row=row,
    )
    return scores


def heads_for(pictures: Pictures) -> tuple[Head, ...]:
    """The heads, their means and scales those of a set of pictures."""
    heads = [Head(name, "categorical", CLASSES[name]) for name in CATEGORICAL]
    heads += [Head(name, "binary", questions) for name, questions in BINARY.items()]
    for name, (quantities, unit) in CONTINUOUS.items():
        columns = [pictures.truth[quantity] for quantity in quantities]
        mean = tuple(float(column.mean()) for column in columns)
        scale = tuple(float(column.std()) or 1.0 for column in columns)
        heads.append(Head(name, "continuous", quantities, mean, scale, unit))
    return tuple(heads)


def targets(pictures: Pictures, heads: tuple[Head, ...]) -> dict[str, Tensor]:
    """What each head should say: class indices (N,), or answers and quantities (N, outputs) in their unit."""
    truth: dict[str, Tensor] = {}
    for head in heads:
        if head.kind == "categorical":
            truth[head.name] = torch.from_numpy(pictures.truth[head.name]).long()
        else:
            columns = [torch.from_numpy(pictures.truth[output]).float() for output in head.outputs]
            truth[head.name] = torch.stack(columns, 1)
    return truth


def head_losses(
    heads: tuple[Head, ...], raw: Mapping[str, Tensor], truth: Mapping[str, Tensor], mirror: bool
) -> dict[str, Tensor]:
    """One loss a head, each of order 1: cross-entropy, or smooth L1 of the standardised quantities."""
    losses: dict[str, Tensor] = {}
    for head in heads:
        given, wanted = raw[head.name].float(), truth[head.name]
        if head.kind == "categorical":
            losses[head.name] = F.cross_entropy(given, wanted)
        elif head.kind == "binary":
            losses[head.name] = F.binary_cross_entropy_with_logits(given, wanted)
        else:
            if mirror:
                signs = [-1.0 if output in MIRRORED else 1.0 for output in head.outputs]
                wanted = wanted * wanted.new_tensor(signs)
            losses[head.name] = F.smooth_l1_loss(given, head.standardise(wanted), beta=0.3)
    return losses


@torch.no_grad()
def measure(regressor: FaceRegressor, pictures: Pictures) -> dict[str, float]:
    """Accuracy or mean absolute error of every output, beside that of always giving the commonest answer.

    Bald people have no hair colour to be seen, and are left out of it.
    """
    indices = recognition.held_out(pictures)
    heads = tuple(regressor.heads.values())
    truth = {name: values[indices] for name, values in targets(pictures, heads).items()}
    crops = FaceCrops(pictures, regressor.spec.size, margin=regressor.margin)
    found = [regressor(crops(batch)) for batch in torch.split(indices, 256)]
    scores: dict[str, float] = {}
    for head in heads:
        given, wanted = torch.cat([part[head.name] for part in found]), truth[head.name]
        if head.kind == "categorical":
            if head.name == "hair_color":
                seen = truth["hair_style"] != CLASSES["hair_style"].index("bald")
                given, wanted = given[seen], wanted[seen]
            scores[f"{head.name}: accuracy"] = float((given.argmax(1) == wanted).float().mean())
            scores[f"{head.name}: share of the commonest"] = float(wanted.bincount().max() / len(wanted))
            continue
        for column, output in enumerate(head.outputs):
            answer, true = given[:, column], wanted[:, column]
            if head.kind == "binary":
                scores[f"{output}: accuracy"] = float(((answer > 0.5) == (true > 0.5)).float().mean())
                share = float(true.mean())
                scores[f"{output}: share of the commonest"] = max(share, 1 - share)
            else:
                scores[f"{output}: mean error"] = float((answer - true).abs().mean())
                scores[f"{output}: mean error of the median"] = float((true - true.median()).abs().mean())
    return scores


def kit_row(heads: tuple[Head, ...]) -> dict[str, Any]:
    """The regressor's row of a kit, its file relative to the folder of models."""
    return {
        "name": NAME,
        "architecture": "regressor",
        "file": "regressors.safetensors",
        "input": {"size": SIZE, "channels": "RGB", "mean": 127.5, "scale": 127.5},
        "margin": MARGIN,
        "config": {},
        "heads": [asdict(head) for head in heads],
    }

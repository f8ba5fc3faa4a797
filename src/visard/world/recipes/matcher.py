"""Trains the world's picture encoder without labels: two views of it agree (SimCLR, Chen et al. 2020).

It stands for CLIP and DINO where pictures are matched without a face recogniser, and is the feature network
of FID and KID in the embedded world.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visard.faces.alignment import warp
from visard.faces.recognizer import InputSpec
from visard.faces.recognizer import build as build_network
from visard.faces.weights import load_weights
from visard.metrics.encoders import Encoder
from visard.metrics.frechet import fid
from visard.metrics.retrieval import ranks, retrieval_rate
from visard.world.dataset import Pictures, load
from visard.world.recipes import Job, recognition
from visard.world.recipes.augmentation import add_noise, coarsen, compress, flip, recolor, uniform
from visard.world.recipes.card import export, training_facts, write_card
from visard.world.recipes.crops import pictures_at
from visard.world.recipes.quick import quicken
from visard.world.recipes.training import Batches, Clock, Figures, seeded

SPLIT = "base"
NAME = "world-simclr"
ARCHITECTURE = "inception_resnet"
SIZE = 96
DIMENSION = 128
CONFIG = {"input_size": SIZE, "embedding_dim": DIMENSION, "width": 0.25, "units": [2, 3, 1], "dropout": 0.0}
BATCH = 96
LEARNING_RATE = 2e-3
TEMPERATURE = 0.2
PROJECTION = 64


def build(name: str, job: Job) -> dict[str, Any]:
    """Train, export and measure the encoder. `job.data` holds the splits `base` and `gallery`."""
    file = job.out / "matcher.safetensors"
    pictures = load(SPLIT, job.data)
    network = quicken(seeded(job.seed, lambda: build_network(ARCHITECTURE, CONFIG)))
    job.begin(network, file.name)
    # Agreement is asked of a projection, so that the features may keep what views differ in (section 4.2).
    head = seeded(
        job.seed + 1,
        lambda: nn.Sequential(
            nn.Linear(DIMENSION, DIMENSION), nn.ReLU(), nn.Linear(DIMENSION, PROJECTION, bias=False)
        ),
    )
    batches = Batches(len(pictures), BATCH, job.seed)

    def step(clock: Clock) -> tuple[Tensor, Figures]:
        whole = pictures_at(pictures, batches(clock.step), job.device)
        views = torch.cat([view(whole, clock.generator) for _ in range(2)])
        loss = agreement_loss(head(network(views.to(memory_format=torch.channels_last))))
        return loss, {}

    trained = job.train(
        name,
        step,
        {"network": network, "head": head},
        lr=LEARNING_RATE,
        batch=BATCH,
    )
    row = kit_row()
    export(network, file, row)
    shipped = build_network(ARCHITECTURE, CONFIG)
    load_weights(shipped, file)
    scores = measure(Encoder(shipped, NAME, InputSpec(**row["input"])), load("gallery", job.data))
    write_card(
        file,
        title="matcher: a picture encoder",
        purpose="Matches whole pictures without looking for faces; the feature network of FID and KID here.",
        facts=training_facts(
            trained,
            job,
            file,
            network,
            batch=BATCH,
            pictures=len(pictures),
            loss=f"NT-Xent, temperature {TEMPERATURE}",
        ),
        scores=scores,
        row=row,
    )
    return scores


def view(whole: Tensor, generator: torch.Generator, smallest: float = 0.5) -> Tensor:
    """A part of each picture, at least `smallest` of its sides, in another light: (B, 3, 96, 96)."""
    count, size = len(whole), whole.shape[-1]
    share = uniform((count,), smallest, 1.0, generator, whole)
    corner = uniform((count, 2), 0.0, 1.0, generator, whole) * (size * (1 - share))[:, None]
    scale = SIZE / (size * share)
    matrix = whole.new_zeros(count, 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = scale
    matrix[:, :, 2] = -corner * scale[:, None] + (scale[:, None] - 1) / 2
    part = recolor(flip(warp(whole, matrix, SIZE), generator), generator, 0.3)
    return add_noise(compress(coarsen(part, generator), generator), generator)


def agreement_loss(projections: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """NT-Xent (eq. 1): projections (2 B, D), the two views of a picture B rows apart; the mean over both."""
    with torch.autocast(projections.device.type, enabled=False):
        unit = F.normalize(projections.float(), dim=1)
        similarities = unit @ unit.T / temperature
        similarities.fill_diagonal_(-torch.inf)
        count = len(unit)
        partner = (torch.arange(count, device=unit.device) + count // 2) % count
        return F.cross_entropy(similarities, partner)


@torch.no_grad()
def measure(encoder: Encoder, pictures: Pictures) -> dict[str, float]:
    """Finding a picture by another view of it, finding a person by it, FID of unseen and of blurred sets."""
    indices = recognition.held_out(pictures)
    generator = torch.Generator().manual_seed(0)
    plain, seen, blurred = [], [], []
    for batch in torch.split(indices, 128):
        whole = pictures_at(pictures, batch)
        plain.append(encoder(whole))
        seen.append(encoder(view(whole, generator)))
        blurred.append(encoder(coarsen(whole, generator, share=1.0)))
    features, views = torch.cat(plain), F.normalize(torch.cat(seen), dim=1)
    unit = F.normalize(features, dim=1)
    person = torch.from_numpy(pictures.person)[indices]
    first = person <= person.median()
    identity = recognition.scores(unit, person)
    found = ranks(views @ unit.T, torch.arange(len(indices)))
    return {
        "rank-1 of the same picture by another view": retrieval_rate(found, 1),
        "rank-1 of the same person, one photo enrolled": identity["rank-1, one photo enrolled"],
        "TMR @ FMR 0.001 of the same person": identity["TMR @ FMR 0.001"],
        "FID between two halves of unseen people": fid(features[first], features[~first]),
        "FID to the same pictures at a lower resolution": fid(torch.cat(blurred), features),
        "pictures": len(indices),
    }


def kit_row() -> dict[str, Any]:
    """The encoder's row of a kit, its file relative to the folder of models."""
    return {
        "name": NAME,
        "architecture": ARCHITECTURE,
        "file": "matcher.safetensors",
        "input": {"size": SIZE, "channels": "RGB", "mean": 127.5, "scale": 127.5},
        "config": CONFIG,
    }

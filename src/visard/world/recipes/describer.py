"""Trains the world's describer: from one picture, how a person differs from the average of all people.

What it reads are the numbers that the renderer draws a person from: proportions, colouring, hair and beard.
It is trained by squared error, so that it says the average of what cannot be seen.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from visard.diffusion.backbone import Backbone
from visard.faces.architectures import ARCHITECTURES
from visard.faces.recognizer import InputSpec
from visard.faces.regressor import FaceRegressor, Head, RegressorRow, head_sizes
from visard.metrics.appearance import by_person, self_similarity, similarity_to_each
from visard.world.dataset import Pictures, load
from visard.world.people import BEARDS, GEOMETRY, HAIR_STYLES, Person, person, split_people
from visard.world.recipes import Job, recognition
from visard.world.recipes.augmentation import add_noise, coarsen, compress, recolor
from visard.world.recipes.autoencoder import FOLDER
from visard.world.recipes.card import export, training_facts, write_card
from visard.world.recipes.crops import FaceCrops
from visard.world.recipes.training import Batches, Clock, Figures, seeded

SPLIT = "regressor"
NAME = "describer"
FILE = f"{NAME}.safetensors"
HEAD = "appearance"
SIZE = 96
MARGIN = 0.4
"""Hair and hats lie outside of the ArcFace crop: this one is 1.8 times as wide."""
BATCH = 96
LEARNING_RATE = 3e-3
LANDMARK_ERROR = 0.03
CONFIG: dict[str, Any] = {"widths": [24, 48, 96, 160], "units": [1, 2, 2, 2], "dropout": 0.1, "pool": 4}

GAMMA = 2.2
"""Colours are compared as a screen shows them; the renderer's are linear light."""
COLOURS = tuple(f"{part}_{channel}" for part in ("skin", "lip", "hair", "brow", "iris") for channel in "rgb")
GROUPS: dict[str, tuple[str, ...]] = {
    "proportions": tuple(GEOMETRY),
    "colouring": (*COLOURS, "age_lines", "freckles", "blush"),
    "hair": (
        *(f"style_{style}" for style in HAIR_STYLES),
        *("hair_volume", "hair_line", "hair_fringe", "hair_wave", "hair_part"),
        *(f"beard_{beard}" for beard in BEARDS),
    ),
}
"""What is described; where a mole or a strand lies is not."""
QUANTITIES = tuple(quantity for group in GROUPS.values() for quantity in group)
MIRRORED = ("hair_part",)
"""Quantities that change sign in a mirror."""
EVERYBODY = 4000
"""So many people of the split are averaged."""


def build(name: str, job: Job) -> dict[str, Any]:
    """Train, export and measure the describer. Needs `regressor` and `gallery`, and the autoencoder."""
    file = job.out / FILE
    pictures = load(SPLIT, job.data)
    truth = describe(pictures.person)
    network = seeded(job.seed, lambda: ARCHITECTURES["regressor"](heads=head_sizes((head(),)), **CONFIG))
    job.begin(network, file.name)
    crops = FaceCrops(pictures, SIZE, margin=MARGIN, device=job.device)
    batches = Batches(len(pictures), BATCH, job.seed)
    signs = mirror_signs()

    def step(clock: Clock) -> tuple[Tensor, Figures]:
        indices = batches(clock.step)
        faces, wanted = crops(indices, clock.generator, LANDMARK_ERROR), truth[indices]
        if torch.rand((), generator=clock.generator) < 0.5:
            faces, wanted = faces.flip(-1), wanted * signs
        faces = coarsen(recolor(faces, clock.generator, 0.1), clock.generator, share=0.5)
        faces = add_noise(compress(faces, clock.generator, share=0.3), clock.generator, share=0.4)
        raw = network(faces.to(memory_format=torch.channels_last))[HEAD]
        return F.mse_loss(raw.float(), wanted.to(job.device)), {}

    trained = job.train(name, step, {"network": network}, lr=LEARNING_RATE, batch=BATCH)
    row = kit_row()
    export(network, file, row)
    shipped = FaceRegressor.load(RegressorRow(NAME, file, InputSpec(SIZE), (head(),), MARGIN, config=CONFIG))
    scores = measure(shipped, load("gallery", job.data), Backbone.load(job.out / FOLDER))
    write_card(
        file,
        title="describer: how a person differs from the average",
        purpose="Reads proportions, colouring, hair and beard of a face, in standard deviations over people.",
        facts=training_facts(
            trained,
            job,
            file,
            network,
            batch=BATCH,
            people=len(np.unique(pictures.person)),
            pictures=len(pictures),
            quantities=len(QUANTITIES),
        ),
        scores=scores,
        row=row,
    )
    return scores


def describe(people: np.ndarray) -> Tensor:
    """What is true of people, given by their numbers (N,): (N, Q) in standard deviations from the average."""
    mean, deviation = average()
    known, places = np.unique(people, return_inverse=True)
    rows = torch.tensor([numbers(person(int(each))) for each in known])
    return ((rows - mean) / deviation)[torch.from_numpy(places)]


@cache
def average() -> tuple[Tensor, Tensor]:
    """The average person, and how people spread about it: (Q,) each."""
    rows = torch.tensor([numbers(person(each)) for each in split_people(SPLIT, EVERYBODY)])
    return rows.mean(0), rows.std(0)


def numbers(who: Person) -> list[float]:
    """What is described of a person, in the order of QUANTITIES; colours as a screen shows them."""
    whole = {**who.shape, **{f"beard_{each}": float(who.traits["beard"] == each) for each in BEARDS}}
    return [whole[each] ** (1 / GAMMA) if each in COLOURS else whole[each] for each in QUANTITIES]


def mirror_signs() -> Tensor:
    """(Q,) -1 for what changes its sign in a mirror."""
    return torch.tensor([-1.0 if each in MIRRORED else 1.0 for each in QUANTITIES])


def head() -> Head:
    """All quantities at once, in standard deviations from the average person."""
    return Head(HEAD, "continuous", QUANTITIES, unit="standard deviations over people")


@torch.no_grad()
def measure(describer: FaceRegressor, pictures: Pictures, backbone: Backbone) -> dict[str, float]:
    """On people it has not seen: how much of every quantity's spread it reads, and how alike it finds people.

    All from single pictures, and again from what the autoencoder makes of them, as of generated ones.
    """
    indices = recognition.held_out(pictures)
    owner = pictures.person[indices.numpy()]
    truth = describe(owner)

    scores: dict[str, float] = {}
    for suffix, change in (("", None), (", through the autoencoder", backbone.reconstruct)):
        crops = FaceCrops(pictures, describer.spec.size, margin=describer.margin, change=change)
        read = torch.cat([describer(crops(batch))[HEAD] for batch in torch.split(indices, 64)])
        explained = 1 - (read - truth).square().mean(0) / (truth - truth.mean(0)).square().mean(0)
        by_name = dict(zip(QUANTITIES, explained.tolist(), strict=True))
        for group, members in GROUPS.items():
            scores[f"{group}: R²{suffix}"] = float(np.mean([by_name[each] for each in members]))
        scores |= alike(read, owner, suffix)
        if not suffix:
            each = {f"{quantity}: R²": value for quantity, value in by_name.items()}
    return scores | each


def alike(read: Tensor, owner: np.ndarray, suffix: str = "") -> dict[str, float]:
    """Similarity of descriptions (N, Q) within and between people, of whom owner (N,) says which."""
    groups = by_person(read, torch.from_numpy(owner))
    own = torch.cat([self_similarity(group) for group in groups])
    others = similarity_to_each(read, groups)
    strangers = others[torch.from_numpy(owner[:, None] != np.unique(owner)[None, :])]
    return {
        f"similarity to the person's other pictures{suffix}": float(own.mean()),
        f"similarity to strangers{suffix}": float(strangers.mean()),
        f"strangers above the median of these{suffix}": float((strangers > own.median()).float().mean()),
    }


def kit_row() -> dict[str, Any]:
    """The describer's row of a kit, its file relative to the folder of models."""
    return {
        "name": NAME,
        "architecture": "regressor",
        "file": FILE,
        "input": {"size": SIZE, "channels": "RGB", "mean": 127.5, "scale": 127.5},
        "margin": MARGIN,
        "config": CONFIG,
        "heads": [asdict(head())],
    }

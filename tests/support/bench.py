"""A benchmark small enough for every test: people who are colour patterns, models with random weights."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from support.kits import face_in_the_middle, recognizer_row, write_kit, write_networks
from support.tiny import tiny_pipeline
from visard.benchmark.job import Job
from visard.benchmark.protocol import Lineup, Sampling, Unit
from visard.faces.scrfd import Scrfd
from visard.pool import Start
from visard.world.people import Person

SAMPLING = Sampling(pictures=2, steps=1)
LINEUP = Lineup(training=4, clean=2, strangers=3, each=2)
JOB = Job(people=(7, 8), strangers=(20, 21, 22), arms=("none", "0.1"), workers=1)
QUICK = """
[personalization]
output = { checkpoint_every = 0 }
fine_tuning = { steps = 4, batch = 1, class_batch = 1, learning_rate = 1e-3 }
prior = { count = 2, sampler_steps = 1, batch = 2 }
decoupling = { rounds = 1, pgd_steps = 1 }
"""


def camera(person: int, count: int, first: int) -> list[Image.Image]:
    """Photos of a colour pattern, each with a little noise."""
    pattern = np.random.default_rng(person).integers(40, 216, (4, 4, 3))
    photos = []
    for index in range(first, first + count):
        noise = np.random.default_rng((person, index)).integers(-30, 30, (4, 4, 3))
        coarse = Image.fromarray((pattern + noise).astype(np.uint8))
        photos.append(coarse.resize((40, 40), Image.Resampling.BICUBIC))
    return photos


def write_folk(folder: Path, count: int = 34) -> Path:
    """A folder of 16 photos a person; of 34 an attacker has two to choose on and four to learn from."""
    for person in range(count):
        home = folder / f"n{person:03d}"
        home.mkdir(parents=True)
        for index, photo in enumerate(camera(person, 16, 0)):
            photo.save(home / f"{index:02d}.png")
    return folder


def by_number(who: Person, count: int, *, first: int = 0) -> list[Image.Image]:
    """Stands in for `visard.world.sampling.pictures`."""
    return camera(who.number, count, first)


def begin_with_faces(start: Start[Unit], cache: Path) -> Callable[[Unit], None]:
    """In a process of its own: begin with a detector that finds a face in every picture."""
    Scrfd.detect = face_in_the_middle  # type: ignore[method-assign, assignment]
    os.environ["VISARD_CACHE"] = str(cache)
    return start()


def write_bench_kit(folder: Path) -> str:
    """A kit with one surrogate and the judges arcface and adaface; returns its file."""
    write_networks(folder)
    tiny_pipeline(folder / "model")
    names = (("one", "surrogate", "a"), ("arcface", "judge", "b"), ("adaface", "judge", "c"))
    rows = "".join(recognizer_row(name, role, f"{file}.safetensors") for name, role, file in names)
    return str(write_kit(folder, rows + QUICK))

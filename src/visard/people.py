"""Several people at once: one to a GPU, or a few to a CPU, each in a run folder of their own."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from visard import api, pool
from visard.errors import InputError
from visard.images import has_pictures
from visard.kits import open_kit
from visard.models import choose_device
from visard.progress import Progress, silent

STAGE = "people"
Report = Callable[[str], Progress]
"""The progress of a person's run, by name; made in the process that does the run, hence picklable."""


def unreported(name: str) -> Progress:
    """The `Report` of nothing."""
    return silent


@dataclass(frozen=True)
class Sitter:
    """One person: a folder of photos, and the folder their run is written to."""

    photos: Path
    out: Path

    @property
    def name(self) -> str:
        return self.photos.name


@dataclass(frozen=True)
class Order:
    """How every run is made: the kit, and the keywords of `api.personalize` beyond photos and folder."""

    kit: str | Path = "world"
    options: Mapping[str, Any] = field(default_factory=dict)
    report: Report = unreported


def sitters(folders: Sequence[Path], out: Path) -> list[Sitter]:
    """A run folder in `out` for each folder of photos, called as that is. Raises InputError."""
    found = [Sitter(folder.resolve(), out / folder.resolve().name) for folder in folders]
    names = [each.name for each in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"Two folders of photos are called {twice[0]}.", "Rename one: runs are called as their photos."
        )
    return found


def folders_in(folder: Path) -> list[Path]:
    """The folders in `folder` that hold pictures. Raises InputError when there is none."""
    inside = sorted(each for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []
    found = [each for each in inside if has_pictures(each)]
    if not found:
        raise InputError(
            f"{folder} holds no folders of photos.", "Give a folder with one folder of photos a person."
        )
    return found


def personalize_people(
    people: Sequence[Sitter], devices: Sequence[str], order: Order, progress: Progress = silent
) -> dict[Sitter, str]:
    """Personalise a model to each of `people`, as many at a time as there are `devices`.

    Returns those that failed, with the reason; the others are done. The same call goes on with what is left.
    Raises InputError, ModelError and StorageError where no run could be made.
    """
    failures = pool.run(
        people,
        [partial(Easel, device, order) for device in devices],
        watch=lambda left: progress(STAGE, len(people) - len(left), len(people)),
        threads=max(1, torch.get_num_threads() // len(devices)),
    )
    return {sitter: str(error) for sitter, error in failures.items()}


class Easel:
    """One device with its own copy of a kit's models, working for one person after another."""

    def __init__(self, device: str, order: Order) -> None:
        device = choose_device(device)
        if device.startswith("cuda:"):
            torch.cuda.set_device(device)
        self.kit, self.order = open_kit(order.kit, device), order

    def __call__(self, sitter: Sitter) -> None:
        """Make or finish one run. Raises VisardError."""
        try:
            api.personalize(
                sitter.photos,
                sitter.out,
                kit=self.kit,
                progress=self.order.report(sitter.name),
                **self.order.options,
            )
        finally:
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

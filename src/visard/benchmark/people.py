"""Photos of the people of a benchmark, on disk: folders that are whole or not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from visard.benchmark.protocol import Lineup
from visard.benchmark.table import DEV, TEST
from visard.errors import InputError
from visard.faces.detector import Detector
from visard.images import read_folder, save_image, stacked, to_tensor
from visard.storage import atomic_folder

Camera = Callable[[int, int, int], list[Image.Image]]
"""(person, count, first) -> photos first, first + 1, ... of that person: the same whenever asked."""

CLEAN_FIRST = 100
"""Where the photos begin that the attacker holds; training never comes so far."""
TRAINING, CLEAN, STRANGERS = "training", "clean", "strangers"
ENROLLED = 2
"""Clean photos with a face that similarity to their mean takes."""
LOOK = "Look at the photos and at the kit's detector."


@dataclass(frozen=True)
class Sitting:
    """One person to be photographed: a subject, or a stranger of the gallery."""

    person: int
    stranger: bool = False

    def folders(self, out: Path) -> list[Path]:
        """The folders that hold the person's photos."""
        if self.stranger:
            return [out / STRANGERS / str(self.person)]
        return [out / "people" / str(self.person) / kind for kind in (TRAINING, CLEAN)]

    def done(self, out: Path) -> bool:
        """Whether nothing is left to do."""
        return all(folder.is_dir() for folder in self.folders(out))


class Studio:
    """Photographs people into a benchmark's folder."""

    def __init__(self, out: Path, lineup: Lineup, detector: Detector, camera: Camera) -> None:
        self.out, self.lineup, self.detector, self.camera = out, lineup, detector, camera

    def __call__(self, sitting: Sitting) -> None:
        """Write the photos of one person. Raises InputError, StorageError."""
        for folder, photos in zip(sitting.folders(self.out), self.photograph(sitting), strict=True):
            if not folder.is_dir():
                self._write(folder, photos)

    def photograph(self, sitting: Sitting) -> list[dict[int, Image.Image]]:
        """The photos of each folder by their numbers. Raises InputError where too few of them can be used.

        The clean photos are not chosen: they are what the attacker happens to have.
        """
        person = sitting.person
        if sitting.stranger:
            return [dict(enumerate(self.camera(person, self.lineup.each, 0)))]
        training = self._with_one_face(person)
        clean = self.camera(person, self.lineup.clean, CLEAN_FIRST)
        faces = sum(bool(self._faces(photo)) for photo in clean)
        if faces < ENROLLED:
            raise InputError(
                f"{faces} of {len(clean)} clean photos of person {person} show a face; {ENROLLED} must.",
                LOOK,
            )
        return [training, dict(enumerate(clean, start=CLEAN_FIRST))]

    def _faces(self, photo: Image.Image) -> int:
        return len(self.detector.detect(to_tensor(photo)[None])[0])

    def _with_one_face(self, person: int) -> dict[int, Image.Image]:
        """The first photos in which the detector sees one face: a person chooses clear ones to train on."""
        found: dict[int, Image.Image] = {}
        seen = 0
        for first in range(0, CLEAN_FIRST, self.lineup.training):
            wanted = min(self.lineup.training, CLEAN_FIRST - first)
            for index, photo in enumerate(self.camera(person, wanted, first), start=first):
                seen += 1
                if self._faces(photo) == 1:
                    found[index] = photo
                if len(found) == self.lineup.training:
                    return found
        raise InputError(
            f"{len(found)} of {seen} photos of person {person} show one face; "
            f"{self.lineup.training} are needed.",
            LOOK,
        )

    @staticmethod
    def _write(folder: Path, photos: dict[int, Image.Image]) -> None:
        with atomic_folder(folder) as fresh:
            for index, photo in photos.items():
                save_image(photo, fresh / f"{index:03d}.png")


def load_photos(folder: Path, side: int) -> Tensor:
    """The photos of a folder as (N, 3, side, side) in [-1, 1]."""
    return stacked([photo.image for photo in read_folder(folder)], side)


def numbered(folder: Path) -> list[Path]:
    """Its folders with a number for a name, in order; what a killed command left half written has none."""
    found = [each for each in folder.iterdir() if each.name.isdecimal() and each.is_dir()]
    return sorted(found, key=lambda each: int(each.name))


def first_people(out: Path, count: int) -> list[int]:
    """The first people of a folder's benchmark: those who are photographed, then who may come after them."""
    home = out / "people"
    there = [int(folder.name) for folder in numbered(home)][:count] if home.is_dir() else []
    following = max(there, default=-1) + 1
    return [*there, *range(following, following + count - len(there))]


def load_strangers(out: Path, lineup: Lineup, side: int) -> tuple[Tensor, Tensor]:
    """The gallery's photos (M, 3, side, side) and whose they are (M,), 0..N-1."""
    photos = [load_photos(folder, side) for folder in numbered(out / STRANGERS)[: lineup.strangers]]
    counts = torch.tensor([len(each) for each in photos])
    return torch.cat(photos), torch.repeat_interleave(counts)


def world_camera(person: int, count: int, first: int) -> list[Image.Image]:
    """Photographs people of the embedded world."""
    from visard.world import people, sampling

    return sampling.pictures(people.person(person), count, first=first)


def world_subjects(split: str, count: int) -> list[int]:
    """The first people of the embedded world whom no model has seen, for figures or for choices.

    Raises InputError for any other split, or fewer people.
    """
    if split not in (TEST, DEV):
        raise InputError(
            f"A benchmark is not of the split {split!r}.",
            f"Choose {TEST}, for figures, or {DEV}, for choices: models have seen all others.",
        )
    return world_people(split, count)


def world_people(split: str, count: int) -> list[int]:
    """The first people of a split of the embedded world. Raises InputError when there are fewer."""
    from visard.world.people import SPLITS, split_people

    if split not in SPLITS:
        raise InputError(f"The world has no people called {split!r}.", f"Choose one of: {', '.join(SPLITS)}.")
    try:
        return list(split_people(split, count))
    except ValueError as error:
        raise InputError(f"Too many people: {error}.", "Ask for fewer.") from error

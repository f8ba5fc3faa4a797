"""People from a folder: one folder a person (VGGFace2), or a flat one and an identity file (CelebA-HQ)."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from visard.benchmark.people import CLEAN_FIRST
from visard.benchmark.protocol import Lineup
from visard.benchmark.table import DEV, TEST
from visard.errors import InputError
from visard.images import center_crop, picture_files, read_image

MAPPING = "CelebA-HQ-to-CelebA-mapping.txt"
"""CelebA-HQ's file beside the identity file of CelebA: number, CelebA's number, CelebA's file."""
MINIMUM = 16
"""Photos of a person, as in the paper (Section 5.1)."""
ORDER_SEED = 0
GALLERY = "gallery"
SHARES = {TEST: 0.26, DEV: 0.17, GALLERY: 0.57}
"""Of the people of a folder, in their order: of 195, the first 51, the next 33 and the last 111.

Fixed, so that whoever is in one split is in no other, however many of each are asked for.
"""


@dataclass(frozen=True)
class People:
    """The photos of everybody who has enough, in an order drawn once; a person is a number in it."""

    photos: tuple[tuple[Path, ...], ...]
    digest: str
    """Of names and sizes of all files: another folder, another benchmark."""

    def choose(self, split: str, count: int, strangers: int) -> tuple[list[int], list[int]]:
        """The first `count` people of a split, and the gallery's first strangers. Raises InputError.

        The order is cut at fixed `SHARES`: whatever is asked for, nobody is in two splits.
        """
        if split not in (TEST, DEV):
            raise InputError(f"A folder has no split {split}.", f"Give --split {TEST} or --split {DEV}.")
        return self._first(split, count, "--people"), self._first(GALLERY, strangers, "--strangers")

    def _first(self, split: str, count: int, option: str) -> list[int]:
        before, whole = 0.0, len(self.photos)
        for name, share in SHARES.items():
            if name == split:
                break
            before += share
        held = range(round(before * whole), round((before + SHARES[split]) * whole))
        if count > len(held):
            raise InputError(
                f"{count} people of the split {split} are asked for and it has {len(held)}: "
                f"{SHARES[split]:.0%} of the {whole} with enough photos.",
                f"Ask for at most {len(held)} with {option}, or give a larger folder.",
            )
        return list(held[:count])


@dataclass(frozen=True)
class FolderCamera:
    """A `people.Camera` of a data set: the last `clean` photos of a person are the attacker's."""

    photos: tuple[tuple[Path, ...], ...]
    clean: int
    side: int

    def __call__(self, person: int, count: int, first: int) -> list[Image.Image]:
        """Photos first, first + 1, ...: fewer where there are no more."""
        files = self.photos[person]
        held = len(files) - self.clean
        part = files[held:] if first >= CLEAN_FIRST else files[:held]
        start = first - CLEAN_FIRST if first >= CLEAN_FIRST else first
        return [center_crop(read_image(file), self.side) for file in part[start : start + count]]


def read_people(folder: Path, lineup: Lineup, identities: Path | None = None) -> People:
    """Everybody in `folder` with enough photos.

    Without `identities`, every folder in it is a person. With it, pictures lie flat, and each line of that
    file is a picture's name and an identity; CelebA-HQ's own names are translated by the mapping file beside
    it. Raises InputError.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", "Give the folder of the data set.")
    everybody = _flat(folder, identities) if identities is not None else _folders(folder)
    least = max(MINIMUM, lineup.training + lineup.clean)
    enough = {name: sorted(files) for name, files in everybody.items() if len(files) >= least}
    if not enough:
        raise InputError(
            f"Nobody in {folder} has {least} photos.",
            "Give a folder of people, each a folder of photos; for CelebA-HQ also --identities FILE.",
        )
    names = sorted(enough)
    random.Random(ORDER_SEED).shuffle(names)  # neighbours in a data set may be of one source
    total = hashlib.sha256()
    for name in names:
        for file in enough[name]:
            total.update(f"{file.relative_to(folder).as_posix()} {file.stat().st_size}\n".encode())
    return People(tuple(tuple(enough[name]) for name in names), total.hexdigest()[:16])


def _folders(folder: Path) -> Mapping[str, Sequence[Path]]:
    return {each.name: picture_files(each) for each in folder.iterdir() if each.is_dir()}


def _flat(folder: Path, identities: Path) -> Mapping[str, Sequence[Path]]:
    """Identity -> files, from lines "000001.jpg 2880"."""
    whose = dict(_pairs(identities, 0, 1))
    mapping = identities.parent / MAPPING
    if mapping.is_file():
        numbers = _pairs(mapping, 0, 2)
        whose = {number: whose[file] for number, file in numbers if file in whose}
    people: dict[str, list[Path]] = {}
    for file in picture_files(folder):
        identity = whose.get(file.name, whose.get(file.stem))
        if identity is not None:
            people.setdefault(identity, []).append(file)
    if not people:
        raise InputError(
            f"{identities} names no picture of {folder}.",
            f'Its lines must be "000001.jpg 2880"; for CelebA-HQ\'s own numbers put {MAPPING} beside it.',
        )
    return people


def _pairs(file: Path, first: int, second: int) -> list[tuple[str, str]]:
    """Two columns of a file, without its heading. Raises InputError."""
    try:
        rows = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}.", "Give CelebA's identity file.") from error
    if any(len(row) <= second for row in rows):
        raise InputError(f"{file} has lines of fewer than {second + 1} words.", "Give CelebA's own file.")
    return [(row[first], row[second]) for row in rows]

"""People from a folder: one folder a person (VGGFace2), or a flat one and an identity file (CelebA-HQ)."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from PIL import Image

from visard.benchmark.people import CLEAN_FIRST, Camera, Sitting, Studio, world_camera
from visard.benchmark.protocol import Lineup, Protocol
from visard.benchmark.table import DEV, TEST
from visard.errors import InputError
from visard.images import center_crop, picture_files, read_image
from visard.kits import Kit
from visard.progress import Progress, silent

MAPPING = "CelebA-HQ-to-CelebA-mapping.txt"
"""CelebA-HQ's file beside the identity file of CelebA: number, CelebA's number, CelebA's file."""
MINIMUM = 16
"""Photos of a person, as in the paper (Section 5.1)."""
ORDER_SEED = 0
TRAIN, GALLERY = "attacker_train", "gallery"
ENDS = {TEST: 0.26, DEV: 0.26 + 0.17 / 3, TRAIN: 0.26 + 0.17, GALLERY: 1.0}
"""Where each split ends in the order of a folder's people: of 195, after 51, 11 more, 22 more, and the rest.

Fixed, so that whoever is in one split is in no other, however many of each are asked for.
"""
LEAST = {"--people": 1, "--strangers": 2, "--dev": 2, "--train": 3}
"""What those options take."""

Fit = Callable[[Sitting], bool]


@dataclass(frozen=True)
class People:
    """The photos of everybody who has enough, in an order drawn once; a person is a number in it."""

    photos: tuple[tuple[Path, ...], ...]
    digest: str
    """Of names and sizes of all files: another folder, another benchmark."""

    def choose(
        self, split: str, count: int, strangers: int, fit: Fit = lambda sitting: True
    ) -> tuple[list[int], list[int]]:
        """The first `count` fit people of a split, and the gallery's first strangers. Raises InputError.

        The order is cut at fixed `ENDS`: whatever is asked for, nobody is in two splits.
        """
        if split not in (TEST, DEV):
            raise InputError(f"A folder has no split {split}.", f"Give --split {TEST} or --split {DEV}.")
        larger = "A larger folder has more."
        return (
            self._first(split, count, fit, "--people", larger),
            self._first(GALLERY, strangers, fit, "--strangers", larger),
        )

    def attackers(self, dev: int, train: int, fit: Fit = lambda sitting: True) -> tuple[list[int], list[int]]:
        """The first fit people an attacker chooses on, and the first it learns from. Raises InputError."""
        return (
            self._first(DEV, dev, fit, "--dev", "A benchmark of a larger folder has more."),
            self._first(TRAIN, train, fit, "--train", "Up to --tier T3 an attacker learns from nobody."),
        )

    def _first(self, split: str, count: int, fit: Fit, option: str, otherwise: str) -> list[int]:
        whole = len(self.photos)
        ends = [round(end * whole) for end in ENDS.values()]
        held = dict(zip(ENDS, map(range, [0, *ends], ends), strict=True))[split]
        if count > len(held):
            most = f"Ask for at most {len(held)} with {option}. " if len(held) >= LEAST[option] else ""
            raise InputError(
                f"{count} people of the split {split} are asked for and it has {len(held)}: "
                f"{len(held) / whole:.0%} of the {whole} with enough photos.",
                f"{most}{otherwise}",
            )
        sittings = (Sitting(person, stranger=split == GALLERY) for person in held)
        found = [each.person for each in islice(filter(fit, sittings), count)]
        if len(found) < count:
            raise InputError(
                f"{count} people of the split {split} are asked for, and photos of {len(found)} of its "
                f"{len(held)} can be used.",
                f"Ask for at most {len(found)} with {option}. {otherwise}",
            )
        return found


@dataclass(frozen=True)
class Audition:
    """Whether enough photos of somebody in a folder can be used; of whom they cannot, it keeps why.

    wanted: how many people are looked for, to show how far it is.
    """

    people: People
    studio: Studio
    wanted: int
    progress: Progress = silent
    passed: list[Sitting] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def __call__(self, sitting: Sitting) -> bool:
        """Looks at whoever is not photographed yet."""
        if not sitting.done(self.studio.out):
            self.progress("people looked at", len(self.passed), self.wanted)
            try:
                self.studio.photograph(sitting)
            except InputError as error:
                first = self.people.photos[sitting.person][0]
                self.left_out.append(f"{first.parent.name}/{first.name}: {error.message}")
                return False
        self.passed.append(sitting)
        return True


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


def people_of(out: Path, data: Path | None, identities: Path | None = None) -> People | None:
    """The folder of people that the benchmark `out` was made of; None: those of the embedded world.

    Where it lies is not kept, so it is named again, and known by its digest. Raises InputError.
    """
    protocol = Protocol.of(out)
    if not protocol.people:
        if data is not None:
            raise InputError(f"The people of {out} are of the embedded world.", "Leave out --data.")
        return None
    if data is None:
        raise InputError(
            f"The people of {out} came from a folder, and where it lies is not kept.",
            "Name it again with --data, and for CelebA-HQ --identities.",
        )
    people = read_people(data, protocol.lineup, identities)
    if people.digest != protocol.people:
        raise InputError(
            f"{data} is not what {out} was made of: names or sizes of its photos are others.",
            "Give the same folder, with --identities if that was given, and the photos as they were.",
        )
    return people


def camera_of(people: People | None, lineup: Lineup, kit: Kit) -> Camera:
    """What photographs these people, None: those of the embedded world, as large as a kit's pictures."""
    if people is None:
        return world_camera
    return FolderCamera(people.photos, lineup.clean, kit.backbone().resolution)


def audition_of(
    people: People | None, out: Path, lineup: Lineup, kit: Kit, wanted: int, progress: Progress = silent
) -> Audition | None:
    """For the benchmark in the folder `out`; None for the embedded world, of whom all photos can be used."""
    if people is None:
        return None
    return Audition(
        people, Studio(out, lineup, kit.detector(), camera_of(people, lineup, kit)), wanted, progress
    )


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

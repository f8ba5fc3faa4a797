"""People in folders: `photos/` holds real ones, `pictures/` what the tool drew, any other folder a leak."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from visard.attacks.attack import attack
from visard.attacks.eyes import Eyes
from visard.attacks.inputs import PUBLISHED, AttackSettings, Knowledge, Known, Source, read
from visard.attacks.result import AttackTier
from visard.audit.inputs import Person
from visard.errors import InputError
from visard.images import has_pictures, picture_files, read_folder, stacked
from visard.progress import Progress, silent

PHOTOS, PICTURES = "photos", "pictures"
DEV, TRAIN = "dev", "train"


def attack_people(
    people: Path,
    attacker: Path,
    gallery: Path,
    eyes: Eyes,
    *,
    tiers: Sequence[str],
    settings: AttackSettings | None = None,
    progress: Progress = silent,
) -> list[AttackTier]:
    """Attack a folder of people; the attacker's own are in `attacker/dev` and, for T4, `attacker/train`.

    Raises InputError.
    """
    _check_apart(people, gallery, attacker / DEV, attacker / TRAIN)
    subjects = known_people(people)
    train = known_people(attacker / TRAIN) if max(tiers, default="") >= "T4" else {}
    return attack(
        {name: each.pictures for name, each in subjects.items()},
        {name: each.photos for name, each in subjects.items()} | strangers(gallery),
        Knowledge(known_people(attacker / DEV), train),
        eyes,
        tiers=tiers,
        settings=settings,
        progress=progress,
    )


def _check_apart(*places: Path) -> None:
    """Raise InputError where one photo stands in two of these folders of people, under whatever names."""
    seen: dict[str, Path] = {}
    for place in places:
        found = {hashlib.sha256(file.read_bytes()).hexdigest(): file.parent for file in _photos_of(place)}
        for photo, folder in found.items():
            if photo in seen:
                raise InputError(
                    f"A photo in {folder} also stands in {seen[photo]}.",
                    "People under attack, the gallery's strangers and the attacker's own must be different.",
                )
        seen |= found


def _photos_of(place: Path) -> Iterator[Path]:
    """The files of everybody's real photos in a folder of people, or of strangers."""
    for person in _folders(place) if place.is_dir() else ():
        photos = person / PHOTOS if (person / PHOTOS).is_dir() else person
        for folder in (photos, *filter(Path.is_dir, photos.rglob("*"))):
            yield from picture_files(folder)


def known_people(folder: Path) -> dict[str, Known]:
    """Everyone in a folder of people, by the name of their folder. Raises InputError."""
    people = {}
    for person in _folders(folder):
        sources = {each.name: each for each in _folders(person)}
        if PHOTOS not in sources or PICTURES not in sources:
            raise InputError(
                f"{person} lacks {PHOTOS if PHOTOS not in sources else PICTURES}.",
                f"Give every person a folder {PHOTOS} of real photos and a folder {PICTURES} of drawn ones.",
            )
        photos = pictures_of(sources.pop(PHOTOS))
        drawn = {PUBLISHED: pictures_of(sources.pop(PICTURES))}
        people[person.name] = Known(
            photos, drawn | {name: pictures_of(each) for name, each in sources.items()}
        )
    return people


def as_audited(folder: Path) -> list[Person]:
    """Everyone in a folder of people as an audit has them: their drawn pictures are one arm.

    Raises InputError.
    """
    return [
        Person(read(each.photos), {PUBLISHED: read(each.pictures[PUBLISHED])})
        for each in known_people(folder).values()
    ]


def strangers(folder: Path) -> dict[str, Source]:
    """The photos of a gallery's strangers, a folder each. Raises InputError."""
    return {f"stranger {person.name}": pictures_of(person) for person in _folders(folder)}


def pictures_of(folder: Path) -> Source:
    """Reads the pictures in a folder and below it when they are looked at. Raises InputError for none."""
    below = [folder, *sorted(each for each in folder.rglob("*") if each.is_dir())]
    holding = [each for each in below if has_pictures(each)]
    if not holding:
        raise InputError(f"{folder} holds no pictures.", "Add some (JPEG, PNG or WebP).")
    return partial(_read, holding)


def _read(folders: list[Path]) -> Tensor:
    """(P, 3, side, side), as large as the smallest."""
    return stacked([photo.image for folder in folders for photo in read_folder(folder)])


def _folders(folder: Path) -> list[Path]:
    found = sorted(each for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []
    if not found:
        raise InputError(f"{folder} holds no folders.", "Give a folder with one folder a person.")
    return found

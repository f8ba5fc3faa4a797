"""What an attacker holds: people under attack, a gallery, and people of the attacker's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from visard.errors import InputError

PUBLISHED = "published"
"""The source of the pictures that a person has let out; every other source takes the model file (T5)."""
EVERYTHING = "published and leaked"
"""All there is of a person for whoever has the model file: the pictures of every source together."""

FEWEST_TO_LEARN_FROM = 3
"""People: a map of fewer cannot be checked on one it was not fitted on."""

Source = Tensor | Callable[[], Tensor]
"""Pictures (P, 3, H, W) in [-1, 1], or what reads them when they are looked at."""
Pictures = Mapping[str, Source]
"""Source by name; `PUBLISHED` is always there."""


@dataclass(frozen=True)
class Known:
    """A person: real photos (R, 3, H, W), which the attacker or the gallery has, and what the tool drew."""

    photos: Source
    pictures: Pictures


@dataclass(frozen=True)
class Knowledge:
    """The attacker's own people, by name; nobody under attack is among them.

    dev: on whom every choice is made and every threshold is set. train: who are learned from (T4, T5).
    """

    dev: Mapping[str, Known]
    train: Mapping[str, Known] = field(default_factory=dict)


@dataclass(frozen=True)
class AttackSettings:
    """How far the attacker goes. Rates are shares in (0, 1)."""

    fpir: float = 0.01
    """False-positive rate of a search, as in the audit."""
    fmr: float = 1e-3
    """False match rate of a comparison."""
    pictures_out: tuple[int, ...] = (1, 4, 16, 64)
    """k: how many pictures of a person are looked at together."""
    folds: int = 5
    """Groups of people that a map is cross-validated on."""
    tuning_steps: int = 200
    """Steps of fine-tuning a recogniser; 0 leaves that out."""
    draws: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 < self.fpir < 1 and 0 < self.fmr < 1):
            raise InputError(
                f"The rates {self.fpir:g} and {self.fmr:g} are not shares.", "Give rates between 0 and 1."
            )
        if not self.pictures_out or min(self.pictures_out) < 1 or self.folds < 2 or self.draws < 1:
            raise InputError(
                "An attack looks at no pictures, or has nothing to learn or resample from.",
                "Give pictures_out of at least 1, folds of at least 2 and draws of at least 1.",
            )


def read(source: Source) -> Tensor:
    """The pictures of a source."""
    return source if isinstance(source, Tensor) else source()


def check(
    subjects: Mapping[str, Pictures],
    gallery: Mapping[str, Source],
    knowledge: Knowledge,
    tiers: Sequence[str],
) -> None:
    """Raise InputError for people in two places and for what a tier needs and does not get."""
    missing = [name for name in subjects if name not in gallery]
    if not subjects or missing:
        raise InputError(
            f"{len(missing)} of the people under attack have no photo in the gallery."
            if subjects
            else "There is nobody to attack.",
            "An attack needs pictures of people and, under the same names, their photos in the gallery.",
        )
    if len(gallery) < len(subjects) + 2:
        raise InputError(
            "The gallery shows fewer than two strangers.",
            "Add photos of other people; a hundred people is a good size.",
        )
    parties = [set(gallery), set(knowledge.dev), set(knowledge.train)]
    if sum(map(len, parties)) > len(set.union(*parties)):
        raise InputError(
            "Somebody is in two of the gallery, the development and the training people.",
            "Choose other people for the attacker: figures on people it has learned from mean nothing.",
        )
    if len(knowledge.dev) < 2:
        raise InputError(
            "The attacker has fewer than two people to make choices on.",
            "Give development people: real photos of others and pictures the tool made of them.",
        )
    if any(tier >= "T4" for tier in tiers) and len(knowledge.train) < FEWEST_TO_LEARN_FROM:
        raise InputError(
            "Tiers T4 and T5 learn from people, and the attacker has fewer than three.",
            "Give training people, as the development people, or attack up to T3.",
        )
    everyone = [*subjects.values()]
    everyone += [each.pictures for group in (knowledge.dev, knowledge.train) for each in group.values()]
    if any(PUBLISHED not in pictures for pictures in everyone):
        raise InputError("Somebody has no published pictures.", "Give every person some.")
    if "T5" in tiers and not leaked_sources(subjects, knowledge):
        raise InputError(
            "Tier T5 has the model file, and no pictures drawn from it were given for everybody.",
            "Give a further source of pictures for every person, or attack up to T4.",
        )


def leaked_sources(subjects: Mapping[str, Pictures], knowledge: Knowledge) -> list[str]:
    """The sources besides `PUBLISHED` that everybody has pictures of, but for training people."""
    everyone = [*subjects.values(), *(each.pictures for each in knowledge.dev.values())]
    return [
        name for name in everyone[0] if name != PUBLISHED and all(name in pictures for pictures in everyone)
    ]

"""What an attack found: a result for each tier, with the choices that led to it. Figures only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from visard.audit.claim import share
from visard.audit.result import TierResult
from visard.errors import InputError
from visard.metrics.bootstrap import Estimate
from visard.storage import atomic_write, finite

MEANING = {
    "T0": "one picture, the best of the recognisers that took no part in training",
    "T1": "every matcher there is, also such as see no faces, alone and together",
    "T2": "preprocessing, restoration and purification of the pictures",
    "T3": "several of a person's published pictures together",
    "T4": "maps, a comparator and a fine-tuned recogniser learned from other people's models",
    "T5": "more pictures, of more prompts, drawn from a leaked model file; alone and beside the published",
}
TIERS = tuple(MEANING)
RISE = 0.05
"""Of the share linked, with twice the people to learn from, that is taken for a rise."""
LAX = 2.0
"""Times the rate at which people who are not enrolled may be named before a threshold is distrusted."""
LEARNED = "T4"
"""The first tier that learns from people."""


def up_to(tier: str) -> tuple[str, ...]:
    """The tiers from T0 to this one. Raises InputError."""
    if tier not in TIERS:
        raise InputError(f"There is no attack tier {tier}.", f"Choose one of {', '.join(TIERS)}.")
    return TIERS[: TIERS.index(tier) + 1]


@dataclass(frozen=True)
class Tried:
    """One attack on the development people: share of them linked, and decidability (d')."""

    attack: str
    linked: float
    decidability: float

    @property
    def strength(self) -> tuple[float, float]:
        """What attacks are compared by."""
        return self.linked, self.decidability


@dataclass(frozen=True)
class TakenTogether:
    """Share of people linked when k of their pictures are looked at together."""

    k: int
    attack: str
    linked: Estimate


@dataclass(frozen=True)
class LearnedFrom:
    """Share of people linked by the strongest attack that learns from so many people (T4)."""

    people: int
    attack: str
    linked: Estimate


@dataclass(frozen=True, kw_only=True)
class AttackTier(TierResult):
    """A tier's strongest attack on the development people, as it did on the people under attack.

    linked: share of searches that name the person first and above the threshold at `fpir`, mean over people,
    who with all pictures in one search are linked or not; ever: share of people whom at least one of their
    searches links; at_rate: `linked` with a threshold set on these very people, at which `fpir` holds for
    them; first: share named first, whatever the score; matched: TMR at `fmr`. control: share named by the
    pictures of another of the people, whose own entry is left out; false_positives: share of such searches
    that name anybody, which should be near `fpir`. dev: people by whom the attack was chosen and the
    threshold set, at the finest rate they can show where that is above `asked_fpir`; train: people learned
    from.
    """

    attack: str
    people: int
    gallery: int
    k: int
    fpir: float
    asked_fpir: float
    fmr: float
    dev: int
    train: int
    first: Estimate
    matched: Estimate
    ever: Estimate
    at_rate: Estimate | None
    control: Estimate | None
    false_positives: Estimate | None
    together: list[TakenTogether]
    learned_from: list[LearnedFrom]
    tried: list[Tried]

    @property
    def claim(self) -> str:
        """What was measured, under which attack, with which uncertainty. Never a promise."""
        pictures = "1 picture" if self.k == 1 else f"{self.k} pictures"
        learned = f" and {self.train} people's models" if self.train else ""
        return (
            f"At attack tier {self.tier}, in a gallery of {self.gallery}, with {pictures} a search{learned}, "
            f"at a threshold set for a false-positive rate of {self.fpir:.2g}, {share(self.linked)} of the "
            f"searches with {self.people} people's pictures name the person, by {self.attack}."
        )

    @property
    def cautions(self) -> list[str]:
        """Reasons to distrust the figure, each the end of a sentence that begins with the tier."""
        found = []
        if self.fpir > self.asked_fpir:
            found.append(
                f"{self.dev} people to set the threshold by cannot show a false-positive rate of "
                f"{self.asked_fpir:g}: it is {self.fpir:.2g}."
            )
        if self.false_positives is not None and not self.at_chance:
            found.append(
                f"{self.false_positives.value:.0%} of the searches for somebody who is not enrolled name "
                f"somebody, where {self.fpir:.2g} were allowed: the threshold does not hold on these people."
            )
        if self.control is not None and self.control.low > self.fpir / (self.gallery - 1):
            found.append(
                f"{self.control.value:.0%} of the people are named by pictures of another of them: something "
                "but the person links these pictures."
            )
        if self.still_rising:
            fewer = self.learned_from[-1]
            found.append(
                f"it links {self.linked.value:.0%}, and {fewer.linked.value:.0%} when it learns from "
                f"{fewer.people} people instead of {self.train}: from more people it may link more."
            )
        return found

    @property
    def still_rising(self) -> bool:
        """Whether the largest part of the training people leads to fewer links than all of them."""
        return bool(self.learned_from) and self.linked.value > self.learned_from[-1].linked.value + RISE

    @property
    def at_chance(self) -> bool:
        """Whether the pictures of people who are not enrolled name somebody about as often as they may.

        An interval would not tell: of twenty people it reaches down to nearly nothing whatever is seen.
        """
        return self.false_positives is None or self.false_positives.value <= LAX * self.fpir


def as_tree(found: Sequence[AttackTier]) -> dict[str, Any]:
    """Tiers as JSON can say them; figures that do not exist are null."""
    tiers = [asdict(each) | {"claim": each.claim, "cautions": each.cautions} for each in found]
    return {"tiers": finite(tiers)}


def write_results(file: Path, found: Sequence[AttackTier]) -> None:
    """The tiers as a JSON file. Raises StorageError."""
    atomic_write(file, (json.dumps(as_tree(found), indent=1, allow_nan=False) + "\n").encode())

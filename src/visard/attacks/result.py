"""What an attack found: a result for each tier, with the choices that led to it. Figures only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from visard.audit.claim import share
from visard.audit.result import TierResult
from visard.metrics.bootstrap import Estimate
from visard.storage import atomic_write, finite

MEANING = {
    "T0": "one picture, the best of the recognisers that took no part in training",
    "T1": "recognisers, a matcher of whole pictures and the context without the face, alone and together",
    "T2": "preprocessing, restoration and purification of the pictures",
    "T3": "several pictures of a person together",
    "T4": "maps, a comparator and a fine-tuned recogniser learned from other people's models",
    "T5": "the model file: as many pictures of any prompt as wanted",
}
TIERS = tuple(MEANING)


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


@dataclass(frozen=True, kw_only=True)
class AttackTier(TierResult):
    """A tier's strongest attack on the development people, as it did on the people under attack.

    linked: share of people named first and above the threshold at `fpir`; matched: TMR at `fmr`. A person
    with several probes counts with their share. control: share named by the pictures of another of the
    people, whose own entry is left out; false_positives: share of such searches that name anybody, which
    should be near `fpir`. searches: how many of people who are not enrolled set the threshold; below
    1 / fpir it is their highest score.
    """

    attack: str
    people: int
    gallery: int
    k: int
    fpir: float
    fmr: float
    searches: int
    matched: Estimate
    control: Estimate | None
    false_positives: Estimate | None
    together: list[TakenTogether]
    tried: list[Tried]

    @property
    def claim(self) -> str:
        """What was measured, under which attack, with which uncertainty. Never a promise."""
        pictures = "1 picture" if self.k == 1 else f"{self.k} pictures"
        return (
            f"At attack tier {self.tier}, in a gallery of {self.gallery}, with {pictures}, at "
            f"{self.rate}, {share(self.linked)} of {self.people} people are linked, by {self.attack}."
        )

    @property
    def rate(self) -> str:
        """The false-positive rate in words: that which was asked for, or the finest that can be shown."""
        if self.searches * self.fpir >= 1:
            return f"a false-positive rate of {self.fpir:g}"
        return f"the highest score of {self.searches} searches of people who are not enrolled"

    @property
    def cautions(self) -> list[str]:
        """Reasons to distrust the figure, each the end of a sentence that begins with the tier."""
        found = []
        if self.searches * self.fpir < 1:
            found.append(
                f"{self.searches} searches of people who are not enrolled cannot show a false-positive rate "
                f"of {self.fpir:g}; the threshold is their highest score."
            )
        if not self.at_chance:
            found.append("other people's pictures link to a person more often than by chance.")
        return found

    @property
    def at_chance(self) -> bool:
        """Whether other people's pictures link to a person no more often than false positives may."""
        return self.control is None or self.control.low <= self.fpir


def as_tree(found: Sequence[AttackTier]) -> dict[str, Any]:
    """Tiers as JSON can say them; figures that do not exist are null."""
    tiers = [asdict(each) | {"claim": each.claim, "cautions": each.cautions} for each in found]
    return {"tiers": finite(tiers)}


def write_results(file: Path, found: Sequence[AttackTier]) -> None:
    """The tiers as a JSON file. Raises StorageError."""
    atomic_write(file, (json.dumps(as_tree(found), indent=1, allow_nan=False) + "\n").encode())

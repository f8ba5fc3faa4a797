"""What becomes of every photo of a folder, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor

from visard.errors import InputError
from visard.images import unusable
from visard.storage import finite

MINIMUM = 4
"""Photos a run needs at least: two to learn the person from, two to protect."""
Verdict = Literal["used", "used with a warning", "left out", "unreadable"]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Sighting:
    """A face of a photo: its box and the square around it as shares of the photo, and whose it is.

    person: a number from 1, 0 where nothing tells people apart.
    """

    box: Box
    person: int


@dataclass(frozen=True)
class Shot:
    """One photo of the folder and what becomes of it.

    picture: the cut square, (3, R, R) in [-1, 1], of a photo in which the person was found.
    square: left, top, right, bottom of it as shares of the photo.
    """

    number: int
    file: Path
    verdict: Verdict
    reasons: tuple[str, ...]
    caption: str | None = None
    preview: Image.Image | None = None
    sightings: tuple[Sighting, ...] = ()
    picture: Tensor | None = None
    square: Box | None = None
    measures: dict[str, float] = field(default_factory=dict)

    @property
    def used(self) -> bool:
        """Whether a run sees it."""
        return self.verdict in ("used", "used with a warning")

    @property
    def said(self) -> tuple[str, ...]:
        """The reasons without the folder the photo lies in."""
        caption = str(self.file.with_suffix(".txt"))
        return tuple(
            reason.replace(str(self.file), "It").replace(caption, "Its caption") for reason in self.reasons
        )


@dataclass(frozen=True)
class Somebody:
    """A person of the folder: number, a portrait, the numbers of the photos they are in."""

    number: int
    portrait: Image.Image
    photos: tuple[int, ...]


@dataclass(frozen=True)
class Selection:
    """What becomes of every photo of a folder, and why.

    chosen: number of the person, None when it is for the user to say; `doubt` then asks.
    """

    folder: Path
    size: int
    shots: tuple[Shot, ...]
    people: tuple[Somebody, ...]
    chosen: int | None
    doubt: str = ""

    @property
    def used(self) -> list[Shot]:
        """The photos a run sees, in order."""
        return [shot for shot in self.shots if shot.used]

    @property
    def pictures(self) -> Tensor:
        """(N, 3, R, R) in [-1, 1]: the cut squares of the photos that are used."""
        return torch.stack([shot.picture for shot in self.used if shot.picture is not None])

    @property
    def summary(self) -> str:
        """Who was chosen and what is wrong with which photo, a line each; empty when all is well."""
        worth = [shot for shot in self.shots if shot.verdict != "used"]
        lines = [f"{len(self.used)} of {len(self.shots)} photos are used."] if worth else []
        lines += [f"  {shot.file.name}: {shot.verdict}. {' '.join(shot.reasons)}" for shot in worth]
        return "\n".join([*([self.choice] if len(self.people) > 1 else []), *lines])

    @property
    def choice(self) -> str:
        """Whose face it is, and why."""
        if self.chosen is None:
            return self.doubt
        own = self.people[self.chosen - 1].photos
        others = [one for one in self.people if one.number != self.chosen]
        words = f"Person {self.chosen} is in {len(own)} of {len(self.shots)} photos"
        if not others:
            return f"{words}, and nobody else is in any."
        most = max(others, key=lambda one: len(one.photos))
        return f"{words}; of the others, person {most.number} is in most, {len(most.photos)}."

    def require(self, minimum: int = MINIMUM) -> None:
        """Raise an InputError that says why when these photos cannot be trained with."""
        unreadable = [shot for shot in self.shots if shot.verdict == "unreadable"]
        if unreadable:
            reasons = (shot.reasons for shot in unreadable)
            raise unusable(self.folder, [(message, " ".join(advice)) for message, *advice in reasons])
        if self.doubt:
            advice = f"`visard photos check {self.folder} --out sheet.html` shows who is who; say --person N."
            raise InputError(self.doubt, advice)
        left_out = [shot for shot in self.shots if not shot.used]
        if len(self.used) >= minimum:
            return
        if not left_out:
            raise InputError(
                f"There are {len(self.shots)} photos; at least {minimum} are needed.",
                "Add photos; eight work best.",
            )
        listing = "\n".join(f"  {shot.file.name}: {' '.join(shot.reasons)}" for shot in left_out)
        raise InputError(
            f"{len(self.used)} of {len(self.shots)} photos can be used; at least {minimum} are needed:\n"
            f"{listing}",
            "Exchange these photos or add others; eight that show the face clearly work best.",
        )

    def to_json(self) -> dict[str, Any]:
        """Verdicts, reasons and measures as plain data: no picture, no embedding, no folder."""
        return {
            "size": self.size,
            "photos": len(self.shots),
            "used": len(self.used),
            "chosen": self.chosen,
            "doubt": self.doubt,
            "people": [{"person": one.number, "photos": list(one.photos)} for one in self.people],
            "shots": [
                {
                    "photo": shot.number,
                    "file": shot.file.name,
                    "verdict": shot.verdict,
                    "reasons": list(shot.said),
                    "faces": len(shot.sightings),
                    "measures": finite(shot.measures, 6),
                }
                for shot in self.shots
            ],
        }

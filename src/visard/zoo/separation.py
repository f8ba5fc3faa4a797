"""Photos of known people: a recogniser's row must tell them apart better than its alternatives would."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from visard.errors import InputError
from visard.faces.recognizer import Recognizer
from visard.zoo.people import People
from visard.zoo.reading import alternatives, embed, pairs

MINIMUM = 1.0
"""Separation below which a recogniser hardly recognises anybody."""


@dataclass(frozen=True)
class Separation:
    """How well photos of known people are told apart: (mean of mated - others) / their joint deviation."""

    declared: float
    alternatives: dict[str, float]
    mated: int
    others: int

    @property
    def warning(self) -> str:
        """What these figures speak against, or nothing."""
        better = {what: value for what, value in self.alternatives.items() if value >= self.declared}
        if better:
            best = max(better, key=lambda what: better[what])
            return (
                f"people are told apart no worse with {best} ({better[best]:.2f}) "
                f"than as declared ({self.declared:.2f})"
            )
        if self.declared < MINIMUM:
            return f"people are hardly told apart at all ({self.declared:.2f})"
        return ""


def separation(recognizer: Recognizer, people: People) -> Separation:
    """How the declared input does on photos of known people, beside its alternatives.

    Raises InputError when nobody is there twice, or nobody else.
    """
    names = people.names
    first, second = torch.triu_indices(len(names), len(names), 1)
    same = torch.tensor([[one == other for other in names] for one in names])[first, second]
    if not 0 < int(same.sum()) < len(same):
        raise InputError(
            "The photos show nobody twice, or one person alone.",
            "Give a folder of at least two people, a folder each, with several photos of each.",
        )

    def told_apart(reader: Recognizer) -> float:
        photos = zip(people.photos, people.landmarks, strict=True)
        values = pairs(torch.cat([embed(reader, photo[None], points[None]) for photo, points in photos]))
        mated, others = values[same], values[~same]
        deviation = ((mated.var(correction=0) + others.var(correction=0)) / 2).sqrt().clamp_min(1e-6)
        return float((mated.mean() - others.mean()) / deviation)

    return Separation(
        told_apart(recognizer),
        {what: told_apart(recognizer.reading(spec)) for what, spec in alternatives(recognizer.spec)},
        int(same.sum()),
        int((~same).sum()),
    )

"""Is the picture still good, and does it still look like the person to a person?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from visard.audit.inputs import Instruments
from visard.audit.observe import Faces
from visard.audit.result import Quality
from visard.metrics.attributes import attribute_agreement, self_agreement
from visard.metrics.brisque import brisque_features
from visard.metrics.frechet import frechet
from visard.metrics.naturalness import feature_distance

MINIMUM_PRISTINE = 10


class PhotoQuality:
    """What real photos look like to the quality instruments, computed once for all arms.

    photos: of the audited people (for FID and KID); natural: all real photos at hand (for naturalness).
    """

    def __init__(self, instruments: Instruments, photos: Tensor, natural: Tensor, batch: int) -> None:
        self.instruments = instruments
        self.batch = batch
        self.features = self._features(photos)
        self.natural = self._brisque(natural) if natural.shape[0] >= MINIMUM_PRISTINE else None

    def measure(
        self,
        pictures: Tensor,
        faces: Sequence[Faces],
        photos: Sequence[Faces],
        generator: torch.Generator,
    ) -> Quality:
        """pictures (P, 3, H, W) of an arm.

        Faces and photos: what was seen in them and in the clean photos, per person.
        """
        model = self.instruments.brisque
        generated = self._features(pictures)
        brisque = self._brisque(pictures)
        return Quality(
            frechet=None
            if generated is None or self.features is None
            else frechet(generated, self.features, self.instruments.features_name, generator),
            brisque=None if model is None else float(model.score(brisque).mean()),
            brisque_model="" if model is None else model.name,
            naturalness=None
            if self.natural is None
            else float(feature_distance(brisque, self.natural).mean()),
            attributes=_mean(
                [
                    attribute_agreement(seen.attributes, own.attributes)
                    for seen, own in zip(faces, photos, strict=True)
                ]
            ),
            attributes_of_photos=_mean([self_agreement(own.attributes) for own in photos]),
        )

    @torch.no_grad()
    def _features(self, pictures: Tensor) -> Tensor | None:
        network = self.instruments.features
        if network is None:
            return None
        return torch.cat([network(chunk).flatten(1).cpu() for chunk in torch.split(pictures, self.batch)])

    def _brisque(self, pictures: Tensor) -> Tensor:
        return torch.cat([brisque_features(chunk) for chunk in torch.split(pictures, self.batch)])


def _mean(per_person: Sequence[dict[str, float]]) -> dict[str, float]:
    names = list(dict.fromkeys(name for row in per_person for name in row))
    return {name: math.fsum(values) / len(values) for name in names if (values := _column(per_person, name))}


def _column(rows: Sequence[dict[str, float]], name: str) -> list[float]:
    return [row[name] for row in rows if name in row]

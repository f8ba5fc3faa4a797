"""Is the picture still good?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from visard.audit.inputs import Instruments
from visard.audit.observe import Faces
from visard.audit.result import Paired, Quality
from visard.metrics.brisque import brisque_features
from visard.metrics.frechet import frechet
from visard.metrics.naturalness import feature_distance

MINIMUM_PRISTINE = 10


class PhotoQuality:
    """What real photos look like to the quality instruments, computed once for all arms.

    photos: of each audited person, and the faces seen in them; natural: all real photos at hand (for
    naturalness).
    """

    def __init__(
        self,
        instruments: Instruments,
        photos: Sequence[Tensor],
        faces: Sequence[Faces],
        natural: Tensor,
        batch: int,
        generator: Generator,
    ) -> None:
        self.instruments = instruments
        self.batch = batch
        self.owner = _owner(photos)
        every = torch.cat(list(photos))
        self.features = None if instruments.features is None else encode(instruments.features, every, batch)
        self.natural = self._brisque(natural) if natural.shape[0] >= MINIMUM_PRISTINE else None
        self.face_quality = self._face_quality(every, faces, generator)

    def measure(self, of: Sequence[Tensor], faces: Sequence[Faces], generator: Generator) -> Quality:
        """An arm's pictures of each person, and the faces seen in them."""
        pictures = torch.cat(list(of))
        model, network, scorer = (
            self.instruments.brisque,
            self.instruments.features,
            self.instruments.quality,
        )
        brisque = self._brisque(pictures)
        return Quality(
            frechet=None
            if network is None or self.features is None
            else frechet(
                encode(network, pictures, self.batch),
                self.features,
                self.instruments.features_name,
                _owner(of),
                self.owner,
            ),
            brisque=None if model is None else float(model.score(brisque).mean()),
            brisque_model="" if model is None else model.name,
            naturalness=None
            if self.natural is None
            else float(feature_distance(brisque, self.natural).mean()),
            face_quality=None
            if scorer is None
            else Paired(scorer.name, self._face_quality(pictures, faces, generator), self.face_quality),
        )

    def _brisque(self, pictures: Tensor) -> Tensor:
        return torch.cat([brisque_features(chunk) for chunk in torch.split(pictures, self.batch)])

    @torch.no_grad()
    def _face_quality(self, pictures: Tensor, faces: Sequence[Faces], generator: Generator) -> float:
        """Mean over the faces; NaN without an instrument or a face."""
        scorer = self.instruments.quality
        seen = pictures[torch.cat([each.has_face for each in faces])]
        if scorer is None or not len(seen):
            return float("nan")
        chunks = zip(
            torch.split(seen, self.batch),
            torch.split(torch.cat([each.landmarks for each in faces]), self.batch),
            strict=True,
        )
        scores = [scorer.score_faces(images, points, generator).double().cpu() for images, points in chunks]
        return float(torch.cat(scores).mean())


def _owner(pictures: Sequence[Tensor]) -> Tensor:
    """Whose each picture is, person after person."""
    return torch.repeat_interleave(torch.tensor([len(each) for each in pictures]))


@torch.no_grad()
def encode(network: Callable[[Tensor], Tensor], pictures: Tensor, batch: int) -> Tensor:
    """Features (P, D) of pictures (P, 3, H, W), a few at a time; (0, 1) without pictures."""
    rows = [network(chunk).flatten(1).float().cpu() for chunk in torch.split(pictures, batch) if len(chunk)]
    return torch.cat(rows) if rows else torch.empty(0, 1)

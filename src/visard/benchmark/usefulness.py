"""Does it still look like the person, and is the face a good picture? Agreement, appearance and SER-FIQ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from visard.audit.inputs import Instruments
from visard.audit.observe import Faces, observe
from visard.audit.serfiq import SerFiq
from visard.faces.detector import Detector
from visard.faces.recognizer import Recognizer
from visard.faces.regressor import FaceRegressor
from visard.metrics.appearance import by_person, self_similarity, similarity_to_each
from visard.metrics.attributes import attribute_agreement, mean_agreement, self_agreement
from visard.metrics.retrieval import ranks, retrieval_rate
from visard.progress import silent
from visard.storage import finite

BATCH = 16


class Usefulness:
    """Looks at pictures through regressors, a describer, and the first recogniser that has dropout."""

    def __init__(
        self,
        detector: Detector,
        regressors: Sequence[FaceRegressor],
        recognizers: Sequence[Recognizer],
        describer: FaceRegressor | None = None,
    ) -> None:
        self.instruments = Instruments(detector, [], regressors, describer)
        self.detector = detector
        self.quality = SerFiq.by_one_of(recognizers)
        self.strangers: list[Tensor] = []
        """Descriptions of each one's photos."""

    def enroll(self, photos: Tensor, owner: Tensor) -> None:
        """Describe the strangers a person is told from: photos (M, 3, H, W), owner (M,)."""
        describer = self.instruments.describer
        if describer is None:
            return
        seen = self._look(photos, Instruments(self.detector, [], describer=describer))
        self.strangers = by_person(seen.descriptions, owner[seen.has_face])

    def score(self, clean: Tensor, pictures: Mapping[str, Tensor]) -> dict[str, dict[str, float | None]]:
        """Prompt -> mean over its faces; pictures and clean photos as `Panel.score` takes them.

        agreement: of the attributes with the photos', in [0, 1]; appearance: similarity to the photos as
        described, in [-1, 1]; both of_photos: of each of these with the others. rank_1_described: share of
        the pictures described most like the person, of all enrolled: whoever looks alike can be found.
        ser: 2 sigmoid(-mean distance under dropout). None without a face or an instrument.
        """
        photos = self._look(clean)
        ceilings = {
            "agreement_of_photos": finite(mean_agreement(self_agreement(photos.attributes))),
            "appearance_of_photos": finite(float(self_similarity(photos.descriptions).mean())),
        }
        return {
            prompt: {
                **self._resemblance(self._look(each), photos),
                **ceilings,
                "ser": finite(self._quality(each)),
            }
            for prompt, each in pictures.items()
        }

    def _resemblance(self, seen: Faces, photos: Faces) -> dict[str, float | None]:
        """Of a prompt's pictures."""
        agreement = mean_agreement(attribute_agreement(seen.attributes, photos.attributes))
        found = {"agreement": finite(agreement), "appearance": None, "rank_1_described": None}
        if not photos.descriptions.numel():
            return found
        everybody = [photos.descriptions, *self.strangers]
        similarities = torch.empty(0, len(everybody), dtype=torch.float64)
        if seen.faces:
            similarities = similarity_to_each(seen.descriptions, everybody)
        found["appearance"] = finite(float(similarities[:, 0].mean()))
        if self.strangers:
            first = ranks(similarities, torch.zeros(seen.faces, dtype=torch.long))
            found["rank_1_described"] = retrieval_rate(first, 1, seen.pictures)
        return found

    def _look(self, pictures: Tensor, instruments: Instruments | None = None) -> Faces:
        through = instruments or self.instruments
        return observe(pictures, through, batch=BATCH, stage="usefulness", progress=silent)

    @torch.no_grad()
    def _quality(self, pictures: Tensor) -> float:
        if self.quality is None:
            return math.nan
        found = self.detector.detect(pictures)
        faces = [index for index, each in enumerate(found) if each]
        if not faces:
            return math.nan
        landmarks = torch.stack([found[index][0].landmarks for index in faces])
        scores = self.quality.score_faces(pictures[faces], landmarks, torch.Generator().manual_seed(0))
        return float(scores.mean())

"""Does it still look like the person, and is the face a good picture? Attribute agreement and SER-FIQ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from visard.audit.inputs import Instruments
from visard.audit.observe import observe
from visard.audit.serfiq import SerFiq
from visard.faces.detector import Detector
from visard.faces.recognizer import Recognizer
from visard.faces.regressor import FaceRegressor
from visard.metrics.attributes import attribute_agreement, mean_agreement, self_agreement
from visard.progress import silent
from visard.storage import finite

BATCH = 16


class Usefulness:
    """Looks at pictures through regressors, and through the first recogniser that has dropout."""

    def __init__(
        self, detector: Detector, regressors: Sequence[FaceRegressor], recognizers: Sequence[Recognizer]
    ) -> None:
        self.instruments = Instruments(detector, [], regressors)
        self.detector = detector
        self.quality = SerFiq.by_one_of(recognizers)

    def score(self, clean: Tensor, pictures: Mapping[str, Tensor]) -> dict[str, dict[str, float | None]]:
        """Prompt -> mean over its faces; pictures and clean photos as `Panel.score` takes them.

        agreement: of the attributes with the photos', in [0, 1]; agreement_of_photos: of each of these with
        the others. ser: 2 sigmoid(-mean distance under
        dropout). None without a face or an instrument.
        """
        photos = self._attributes(clean)
        ceiling = finite(mean_agreement(self_agreement(photos)))
        return {
            prompt: {
                "agreement": finite(mean_agreement(attribute_agreement(self._attributes(each), photos))),
                "agreement_of_photos": ceiling,
                "ser": finite(self._quality(each)),
            }
            for prompt, each in pictures.items()
        }

    def _attributes(self, pictures: Tensor) -> dict[str, Tensor]:
        return observe(
            pictures, self.instruments, attributes=True, batch=BATCH, stage="usefulness", progress=silent
        ).attributes

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

"""Does it still look like the person, and is the face a good picture? Attribute agreement and SER-FIQ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from visard.audit.inputs import Instruments
from visard.audit.observe import observe
from visard.faces.alignment import align
from visard.faces.detector import Detector
from visard.faces.quality import Forgetful, agreement
from visard.faces.recognizer import Recognizer
from visard.faces.regressor import FaceRegressor
from visard.metrics.attributes import attribute_agreement, mean_agreement
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
        self.forgetful = next(filter(_forgets, recognizers), None)

    def score(self, clean: Tensor, pictures: Mapping[str, Tensor]) -> dict[str, dict[str, float | None]]:
        """Prompt -> mean over its faces; pictures and clean photos as `Panel.score` takes them.

        agreement: of the attributes with the photos', in [0, 1]. ser: 2 sigmoid(-mean distance under
        dropout). None without a face or an instrument.
        """
        photos = self._attributes(clean)
        return {
            prompt: {
                "agreement": finite(mean_agreement(attribute_agreement(self._attributes(each), photos))),
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
        if self.forgetful is None:
            return math.nan
        found = self.detector.detect(pictures)
        faces = [index for index, each in enumerate(found) if each]
        if not faces:
            return math.nan
        landmarks = torch.stack([found[index][0].landmarks for index in faces])
        crops = align(pictures[faces], landmarks, self.forgetful.spec.size)
        return float(agreement(self.forgetful, crops, torch.Generator().manual_seed(0)).mean())


def _forgets(recognizer: Recognizer) -> bool:
    return isinstance(recognizer.network, Forgetful) and recognizer.network.dropout_rate > 0

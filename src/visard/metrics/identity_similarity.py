"""ISM and ADA.

One measure, two judges (ArcFace, AdaFace). How close do generated faces come to the person?
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class IdentitySimilarity:
    """`detected`.

    Mean over pictures with a face, as in the IDDM paper; `overall`: over all, a lost face counting 0.
    """

    detected: float
    overall: float
    faces: int
    pictures: int


def reference_embedding(embeddings: Tensor) -> Tensor:
    """Normalised mean of a person's normalised embeddings: (N, D) -> (D,)."""
    mean = torch.nn.functional.normalize(embeddings, dim=1).mean(0)
    return torch.nn.functional.normalize(mean, dim=0)


def identity_similarity(similarities: Tensor, pictures: int) -> IdentitySimilarity:
    """Mean cosine of generated faces to the clean reference embedding.

    similarities: (n,) one a detected face, in [-1, 1]; pictures: all that were generated, n of them with a
    face.
    """
    faces = similarities.numel()
    total = float(similarities.double().sum())
    return IdentitySimilarity(
        detected=total / faces if faces else float("nan"),
        overall=total / pictures if pictures else float("nan"),
        faces=faces,
        pictures=pictures,
    )

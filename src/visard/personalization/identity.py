"""The identity loss: how easily an ensemble of recognisers links pictures to a person (eqs. 10-13)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from visard.faces.detector import Detector
from visard.faces.recognizer import Recognizer, prototype
from visard.photos.windows import largest

Landmarks = Tensor | None
"""Five points (5, 2) of a picture's largest face, or None where no face was found."""


def linkability(similarities: Tensor, tau: float, detach_weights: bool = False) -> Tensor:
    """S of eq. 12: similarities (B, M) weighted by their own softmax at temperature `tau`, (B,) in [-1, 1].

    Towards the largest similarity as tau -> 0, towards the mean as tau -> infinity.
    """
    logits = similarities.detach() if detach_weights else similarities
    return (torch.softmax(logits / tau, dim=1) * similarities).sum(1)


def find_landmarks(detector: Detector, images: Tensor) -> list[Landmarks]:
    """Landmarks of the largest face of each picture (B, 3, H, W), constants; pictures may leave [-1, 1].

    The largest is the person's, as in `photos.prepare`; a bystander's may have the higher score.
    """
    found = detector.detect(images.detach().clamp(-1, 1))
    return [largest(faces).landmarks if faces else None for faces in found]


def prototypes(
    recognizers: Sequence[Recognizer], images: Tensor, landmarks: Sequence[Landmarks]
) -> list[Tensor]:
    """e_m of eq. 10 for each recogniser: (D_m,), the normalised mean of the normalised embeddings of X_c."""
    seen = [i for i, points in enumerate(landmarks) if points is not None]
    points = _stack([landmarks[i] for i in seen], images)
    with torch.no_grad():
        return [prototype(each.embed_faces(images[seen], points)) for each in recognizers]


@dataclass(frozen=True)
class Linkage:
    """What the identity loss saw in a batch of B pictures by M recognisers."""

    loss: Tensor
    """(B,) L_id = 1 + S; 0 without a gradient for a picture that was skipped."""
    similarities: Tensor
    """(B, M) s_m of eq. 11, detached; NaN for a picture that was skipped."""
    found: int
    fallback: int
    skipped: int


class IdentityLoss:
    """L_id of eq. 13 against the prototypes of one person.

    Where no face is found in a picture its `fallback` landmarks are used; where there are none it is skipped.
    `floors` (M,), a similarity for each recogniser, keeps s_m from being pushed below it (floor="impostor").
    """

    def __init__(
        self,
        recognizers: Sequence[Recognizer],
        detector: Detector,
        prototypes: Sequence[Tensor],
        *,
        tau: float = 0.03,
        detach_weights: bool = False,
        floors: Tensor | None = None,
    ) -> None:
        self.recognizers, self.detector, self.prototypes = list(recognizers), detector, list(prototypes)
        self.tau, self.detach_weights, self.floors = tau, detach_weights, floors

    @property
    def names(self) -> list[str]:
        return [recognizer.name for recognizer in self.recognizers]

    def similarities(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """s_m of eq. 11: cosines (B, M) of aligned faces with the prototypes; differentiable in `images`."""
        columns = [
            (each.embed_faces(images, landmarks) @ person).to(images)
            for each, person in zip(self.recognizers, self.prototypes, strict=True)
        ]
        return torch.stack(columns, dim=1)

    def __call__(self, images: Tensor, fallback: Sequence[Landmarks]) -> Linkage:
        """L_id of pictures (B, 3, H, W) in [-1, 1], differentiable in them."""
        detected = find_landmarks(self.detector, images)
        points = [own if own is not None else spare for own, spare in zip(detected, fallback, strict=True)]
        used = [i for i, each in enumerate(points) if each is not None]
        found = sum(each is not None for each in detected)
        loss = images.new_zeros(len(images))
        seen = images.new_full((len(images), len(self.recognizers)), torch.nan)
        if used:
            s = self.similarities(images[used], _stack([points[i] for i in used], images))
            seen[used] = s.detach()
            if self.floors is not None:
                s = torch.maximum(s, self.floors.to(s))
            loss = loss.index_put(
                (torch.tensor(used, device=images.device),), 1 + linkability(s, self.tau, self.detach_weights)
            )
        return Linkage(loss, seen, found, len(used) - found, len(images) - len(used))


def impostor_level(
    recognizers: Sequence[Recognizer], detector: Detector, prototypes: Sequence[Tensor], strangers: Tensor
) -> Tensor:
    """Mean similarity (M,) of strangers' pictures (N, 3, H, W) to each prototype; -1 without a face."""
    landmarks = find_landmarks(detector, strangers)
    seen = [i for i, points in enumerate(landmarks) if points is not None]
    if not seen:
        return torch.full((len(recognizers),), -1.0)
    loss = IdentityLoss(recognizers, detector, prototypes)
    with torch.no_grad():
        return loss.similarities(strangers[seen], _stack([landmarks[i] for i in seen], strangers)).mean(0)


def _stack(landmarks: Sequence[Landmarks], like: Tensor) -> Tensor:
    return torch.stack([points for points in landmarks if points is not None]).to(like)

"""Landmarks read again: a regressor looks at the aligned crop, where a face always has one size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from visard.faces.alignment import similarity_transform, warp
from visard.faces.detector import Detector, Face
from visard.faces.regressor import FaceRegressor

HEAD = "landmarks"
"""Ten numbers: x and y of each landmark, as shares of the crop."""
PASSES = 2
"""The second look is at a better aligned crop; a third brings nothing more."""


class RefinedDetector:
    """A detector whose landmarks a regressor corrects; boxes, scores and the order of faces stay.

    A small detector finds faces reliably and their landmarks to a tenth of the eye distance, which costs a
    recogniser much of its certainty.
    """

    def __init__(self, detector: Detector, regressor: FaceRegressor, weights: str = "") -> None:
        self.detector, self.regressor = detector, regressor
        self.name = detector.name
        self.weights = f"{detector.weights} {weights}".strip()

    @property
    def setting(self) -> str:
        """The detector's own, and that its landmarks are refined."""
        return f"{self.detector.setting}, landmarks refined"

    @torch.no_grad()
    def detect(self, images: Tensor) -> list[list[Face]]:
        """Faces of each picture (B, 3, H, W) in [-1, 1], best score first."""
        detected = self.detector.detect(images)
        owners = [index for index, faces in enumerate(detected) for _ in faces]
        if not owners:
            return detected
        rough = torch.stack([face.landmarks for faces in detected for face in faces])
        pictures, better = images[owners], rough
        for _ in range(PASSES):
            better = self.refine(pictures, better)
        fine = iter(better)
        return [[replace(face, landmarks=next(fine)) for face in faces] for faces in detected]

    def refine(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """Better landmarks (B, 5, 2) in px of pictures (B, 3, H, W), given rough ones."""
        size = self.regressor.spec.size
        matrices = similarity_transform(landmarks, self.regressor.target).to(images)
        shares = self.regressor(warp(images, matrices, size))[HEAD].to(matrices)
        points = shares.reshape(-1, 5, 2) * size
        inverse = torch.linalg.inv(matrices[:, :, :2])
        back: Tensor = (points - matrices[:, :, 2].unsqueeze(1)) @ inverse.mT
        return back.to(landmarks)


def outputs() -> Sequence[str]:
    """Names of the head's numbers, in the order of the landmarks."""
    points = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
    return tuple(f"{point}_{axis}" for point in points for axis in "xy")

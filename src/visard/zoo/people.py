"""Photos of known people, a folder each, and the face that each photo is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from visard.errors import InputError
from visard.faces.detector import Detector
from visard.images import picture_files, read_image, to_tensor
from visard.progress import Progress, silent


@dataclass(frozen=True)
class People:
    """Photos (3, H, W) with the landmarks (5, 2) of one face each, and whose they are; `files` were read."""

    photos: Sequence[Tensor]
    landmarks: Sequence[Tensor]
    names: Sequence[str]
    files: int

    @property
    def detected(self) -> str:
        return f"faces in {len(self.photos)} of {self.files} photos"


def read_people(folder: Path, detector: Detector, progress: Progress = silent) -> People:
    """The face nearest the middle of each photo; photos without one are counted. Raises InputError."""
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", "Give one that holds a folder for each person.")
    files = [file for each in sorted(folder.iterdir()) if each.is_dir() for file in picture_files(each)]
    if not files:
        raise InputError(
            f"{folder} holds no photos.", "Give a folder with a folder of photos for each person."
        )
    photos, landmarks, names = [], [], []
    for done, file in enumerate(files):
        photo = to_tensor(read_image(file))
        faces = detector.detect(photo[None])[0]
        if faces:
            photos.append(photo)
            landmarks.append(_central([face.landmarks for face in faces], photo))
            names.append(file.parent.name)
        progress("finding faces", done + 1, len(files))
    if not photos:
        raise InputError(
            f"{detector.name} found no face in the {len(files)} photos of {folder}.",
            "Give photos of one person each, or add a detector: visard models list.",
        )
    return People(photos, landmarks, names, len(files))


def _central(faces: Sequence[Tensor], photo: Tensor) -> Tensor:
    middle = torch.tensor([photo.shape[2] - 1, photo.shape[1] - 1]) / 2
    return min(faces, key=lambda points: float((points.mean(0) - middle).norm()))

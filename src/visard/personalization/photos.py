"""Photos a run can use: one face each, large enough; and their split into X_c and X_0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from visard.errors import InputError
from visard.faces.detector import Detector, Face
from visard.photos.framing import BYSTANDER
from visard.photos.quality import SMALLEST_FACE
from visard.photos.selection import MINIMUM
from visard.photos.windows import area, largest


@dataclass(frozen=True)
class Photos:
    """Checked photos of one person: (N, 3, R, R) in [-1, 1], landmarks (N, 5, 2), a prompt each."""

    reference: Tensor
    """X_c: teaches the person, gives the prototypes, never changes."""
    reference_landmarks: Tensor
    reference_prompts: list[str]
    originals: Tensor
    """X_0: the protection set as it came."""
    landmarks: Tensor
    prompts: list[str]


def prepare(
    photos: Tensor,
    detector: Detector,
    *,
    resolution: int,
    prompt: str,
    captions: Sequence[str | None] | None = None,
    names: Sequence[str] | None = None,
) -> Photos:
    """Check photos (N, 3, R, R) and split them: the first half is X_c, the rest X_0. Raises InputError.

    A photo's caption stands in for `prompt`; `names` are used in messages alone.
    """
    check_photos(photos, resolution, MINIMUM)
    for given in (captions, names):
        if given is not None and len(given) != len(photos):
            raise ValueError(f"{len(given)} captions or names for {len(photos)} photos")
    landmarks = _single_faces(detector.detect(photos), resolution, names)
    prompts = [caption or prompt for caption in captions or [""] * len(photos)]
    half = len(photos) // 2
    return Photos(
        photos[:half], landmarks[:half], prompts[:half], photos[half:], landmarks[half:], prompts[half:]
    )


def check_photos(photos: Tensor, resolution: int, minimum: int = 1) -> None:
    """Raise InputError unless photos are (N, 3, R, R) in [-1, 1], at least `minimum` of them."""
    if photos.ndim != 4 or photos.shape[1:] != (3, resolution, resolution):
        raise InputError(
            f"The photos are {tuple(photos.shape)}; this model needs (N, 3, {resolution}, {resolution}).",
            "Crop them with visard.images.center_crop first.",
        )
    if len(photos) < minimum:
        raise InputError(
            f"There are {len(photos)} photos; at least {minimum} needed.", "Add photos; eight work best."
        )
    if not torch.isfinite(photos).all() or photos.abs().max() > 1:
        raise InputError("The photos hold values outside [-1, 1].", "Make them with visard.images.to_tensor.")


def _single_faces(detected: Sequence[Sequence[Face]], resolution: int, names: Sequence[str] | None) -> Tensor:
    """Landmarks (N, 5, 2) of each photo's one face; an InputError lists every photo that has not got one."""
    problems = []
    for i, faces in enumerate(detected):
        if problem := _problem(faces, resolution):
            name = f" ({names[i]})" if names else ""
            problems.append(f"  photo {i + 1}{name}: {problem}")
    if problems:
        raise InputError(
            f"{len(problems)} of {len(detected)} photos cannot be used:\n" + "\n".join(problems),
            "Exchange or crop these photos: each should show one face, the person's, clearly.",
        )
    return torch.stack([largest(faces).landmarks for faces in detected])


def _problem(faces: Sequence[Face], resolution: int) -> str:
    if not faces:
        return "no face was found; use a photo that shows the face from the front, unobstructed"
    nearest = largest(faces)
    others = sum(area(face) >= BYSTANDER * area(nearest) for face in faces) - 1
    if others:
        return f"{others + 1} faces were found; crop it to the person"
    side = float((nearest.box[2:] - nearest.box[:2]).min())
    if side < SMALLEST_FACE * resolution:
        return f"the face is only {side:.0f} of {resolution} pixels; crop closer to it"
    return ""

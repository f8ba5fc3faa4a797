"""Detection in photos of any size and shape: as a whole, and through square windows where they are wide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from PIL import Image
from torch import Tensor

from visard.faces.detector import Detector, Face
from visard.images import to_tensor

LONGEST = 1536
"""Pixels of the longer side that detection looks at: a face lost there is too small to use."""
WIDE = 1.2
"""Longer by shorter side from which on windows are looked through: a detector shrinks what is wide most."""
INNER_EDGE = 0.02
"""Share of a window's side: a face that comes so close to a window's own edge is seen whole by the next."""
COVERED = 0.5
"""Share of the smaller of two boxes that lies in the larger, from which on they are one face."""


def find_faces(detector: Detector, image: Image.Image) -> list[Face]:
    """The faces of a photo, largest first, in its pixels."""
    scale = min(1.0, LONGEST / max(image.size))
    reduced = image if scale == 1 else image.resize(_scaled(image.size, scale), Image.Resampling.BOX)
    picture = to_tensor(reduced)[None]
    found = detector.detect(picture)[0]
    for left, top, side in _windows(*reduced.size):
        window = picture[..., top : top + side, left : left + side]
        shift = torch.tensor([left, top])
        for face in detector.detect(window)[0]:
            if not _cut_by_window(face, left, top, side, *reduced.size):
                found.append(Face(face.box + shift.repeat(2), face.score, face.landmarks + shift))
    factor = torch.tensor([image.width / reduced.width, image.height / reduced.height])
    return [_rescaled(face, factor) for face in _distinct(found)]


def area(face: Face) -> float:
    """Square pixels of a face's box, 0 when it has none."""
    width, height = (face.box[2:] - face.box[:2]).clamp(min=0).tolist()
    return float(width * height)


def largest(faces: Sequence[Face]) -> Face:
    """The face of the largest box."""
    return max(faces, key=area)


def shared(first: Tensor, second: Tensor) -> float:
    """Square pixels that two boxes (4,) have in common."""
    corners = torch.minimum(first[2:], second[2:]) - torch.maximum(first[:2], second[:2])
    return float(corners.clamp(min=0).prod())


def _windows(width: int, height: int) -> Iterator[tuple[int, int, int]]:
    """Left, top and side of squares along the longer side, half of each shared with the next."""
    side, length = min(width, height), max(width, height)
    if length < WIDE * side:
        return
    count = -(-2 * (length - side) // side)
    for index in range(count + 1):
        start = round(index * (length - side) / count)
        yield (start, 0, side) if width > height else (0, start, side)


def _cut_by_window(face: Face, left: int, top: int, side: int, width: int, height: int) -> bool:
    """Whether a window's edge that is not the picture's own runs through the face."""
    near = INNER_EDGE * side
    x1, y1, x2, y2 = face.box.tolist()
    return bool(
        (left > 0 and x1 < near)
        or (top > 0 and y1 < near)
        or (left + side < width and x2 > side - near)
        or (top + side < height and y2 > side - near)
    )


def _distinct(faces: Sequence[Face]) -> list[Face]:
    """One face for each found several times: the one the detector is surest of; largest first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        covered = (shared(face.box, other.box) / max(min(area(face), area(other)), 1e-9) for other in kept)
        if all(share < COVERED for share in covered):
            kept.append(face)
    return sorted(kept, key=area, reverse=True)


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _rescaled(face: Face, factor: Tensor) -> Face:
    """A face of the reduced picture in the photo, pixel centres at integers."""
    if bool((factor == 1).all()):
        return face
    box, landmarks = ((points + 0.5) * factor - 0.5 for points in (face.box.reshape(2, 2), face.landmarks))
    return Face(box.flatten(), face.score, landmarks)

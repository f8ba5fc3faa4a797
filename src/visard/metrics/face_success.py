"""FSR.

How often does a face detector find a face? Largely a matter of protocol, hence never printed without its
setting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FaceSuccess:
    """Share of pictures with a face, under a named detector and setting."""

    rate: float
    faces: int
    pictures: int
    detector: str


def face_success(found: Sequence[Sequence[object]], detector: str) -> FaceSuccess:
    """found: the faces of each picture, as `Detector.detect` returns them; detector: its name and setting."""
    faces = sum(1 for picture in found if picture)
    return FaceSuccess(faces / len(found) if found else float("nan"), faces, len(found), detector)

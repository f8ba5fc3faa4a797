from __future__ import annotations

import pytest
import torch
from torch import Tensor

from photos.painted import ColourDetector, photo
from visard.faces.detector import Face
from visard.photos.windows import area, find_faces


class Myopic(ColourDetector):
    """Overlooks faces that take less than a quarter of the picture's width, as small detectors do."""

    def detect(self, images: Tensor) -> list[list[Face]]:
        wide = images.shape[-1]
        found = super().detect(images)
        return [[face for face in faces if face.box[2] - face.box[0] > wide / 4] for faces in found]


def test_faces_of_a_wide_photo_are_found_each_once_and_where_they_are() -> None:
    image = photo(("red", 30, 20, 40), ("green", 150, 30, 36), ("blue", 300, 20, 44), width=384, height=96)
    assert Myopic().detect(torch.zeros(1, 3, 96, 384)) == [[]]
    faces = find_faces(Myopic(), image)
    assert [face.box.tolist() for face in faces] == [
        [300, 20, 344, 74],
        [30, 20, 70, 70],
        [150, 30, 186, 74],
    ]
    assert [area(face) for face in faces] == sorted((area(face) for face in faces), reverse=True)


@pytest.mark.parametrize("extent", [(96, 96), (384, 96), (96, 300)])
def test_nobody_is_found_where_nobody_is(extent: tuple[int, int]) -> None:
    assert find_faces(ColourDetector(), photo(width=extent[0], height=extent[1])) == []


def test_a_large_photo_is_looked_at_smaller_and_answered_in_its_own_pixels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("visard.photos.windows.LONGEST", 96)
    (face,) = find_faces(ColourDetector(), photo(("red", 120, 80, 80), width=384, height=384))
    assert face.box.tolist() == pytest.approx([120, 80, 200, 180], abs=4)

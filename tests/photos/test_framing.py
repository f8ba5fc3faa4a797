from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from photos.painted import photo
from visard.images import center_crop
from visard.photos.framing import BYSTANDER, frame
from visard.photos.windows import shared


def box(left: float, top: float, wide: float) -> Tensor:
    return torch.tensor([left, top, left + wide, top + wide * 1.25])


def test_what_is_framed_well_keeps_its_framing_to_the_last_bit() -> None:
    image = photo(("red", 40, 20, 40), width=120, height=96)
    square = frame(box(40, 20, 40), [], *image.size)
    assert square.kept
    assert np.array_equal(np.asarray(square.cut(image, 64)), np.asarray(center_crop(image, 64)))


@pytest.mark.parametrize(
    "face", [box(600, 300, 40), box(5, 10, 60), box(930, 700, 60), box(20, 20, 500), box(980, 0, 18)]
)
def test_head_and_shoulders_lie_in_the_photo_with_the_whole_face(face: Tensor) -> None:
    square = frame(face, [], 1000, 780)
    left, top, right, bottom = square.box.tolist()
    assert 0 <= left < right <= 1000
    assert 0 <= top < bottom <= 780
    assert shared(square.box, face) == pytest.approx(float((face[2:] - face[:2]).prod()), rel=1e-4)


def test_a_face_in_the_open_has_room_above_and_more_below() -> None:
    face = box(600, 300, 40)
    square = frame(face, [], 1000, 780)
    assert square.side == pytest.approx(2.2 * 50)
    above, below = float(face[1]) - square.top, square.top + square.side - float(face[3])
    assert below > above > 0.3 * 50


@pytest.mark.parametrize("away", [-110, -75, 75, 110])
def test_a_neighbour_is_left_out_by_moving_or_by_coming_closer(away: float) -> None:
    face, other = box(500, 300, 60), box(500 + away, 300, 60)
    square = frame(face, [other], 1000, 780)
    area = float((face[2:] - face[:2]).prod())
    assert shared(square.box, face) >= 0.9 * area
    assert shared(square.box, other) < BYSTANDER * area


def test_points_follow_the_cut() -> None:
    image = Image.new("RGB", (400, 300))
    image.paste("white", (210, 120, 214, 124))
    square = frame(box(200, 110, 30), [], 400, 300)
    bright = np.asarray(square.cut(image, 256).convert("L"), dtype=float)
    rows, columns = np.indices(bright.shape)
    middle = [float((bright * axis).sum() / bright.sum()) for axis in (columns, rows)]
    assert square.inside(torch.tensor([[211.5, 121.5]]), 256)[0].tolist() == pytest.approx(middle, abs=0.3)

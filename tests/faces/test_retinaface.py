"""RetinaFace's prior boxes through SCRFD's decoder."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from visard.errors import ModelError
from visard.faces.architectures import ARCHITECTURES
from visard.faces.detector import decode
from visard.faces.retinaface import RetinaFaceNetwork, bgr
from visard.faces.scrfd import DetectorRow, Scrfd

SMALL = {"widths": [4, 4, 4, 8, 8, 8], "units": [1, 1], "neck_width": 8}
SIDE = 64


class OneFace(nn.Module):
    """Gives one prior box a score and offsets of its own, and everything else none."""

    def __init__(self, level: int, row: int, box: list[float], points: list[float]) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(1))
        self.level, self.row, self.box, self.points = level, row, box, points

    def forward(self, x: Tensor) -> list[Tensor]:
        counts = [(SIDE // stride) ** 2 * 2 for stride in (8, 16, 32)]
        outputs = [torch.zeros(1, count, values) for values in (1, 4, 10) for count in counts]
        for scores in outputs[:3]:
            scores -= 10
        outputs[self.level][0, self.row] = 3.0
        outputs[3 + self.level][0, self.row] = torch.tensor(self.box)
        outputs[6 + self.level][0, self.row] = torch.tensor(self.points)
        return outputs


@pytest.mark.parametrize(
    ("level", "stride", "sides"), [(0, 8, (16, 32)), (1, 16, (64, 128)), (2, 32, (256, 512))]
)
@pytest.mark.parametrize("anchor", [0, 1])
def test_a_prior_box_becomes_the_face_it_stands_for(
    level: int, stride: int, sides: tuple[int, int], anchor: int
) -> None:
    row, column, side = 1, 0, sides[anchor]
    place = (row * (SIDE // stride) + column) * 2 + anchor
    dx, dy, dw, dh = 0.5, -0.25, 0.2, -0.4
    points = [0.1 * k for k in range(-5, 5)]
    network = RetinaFaceNetwork(OneFace(level, place, [dx, dy, dw, dh], points))
    (found,) = decode(network(torch.zeros(1, 3, SIDE, SIDE)), SIDE, SIDE, threshold=0.5)
    x, y = (column + 0.5) * stride, (row + 0.5) * stride
    centre = (x + 0.1 * side * dx, y + 0.1 * side * dy)
    half = (side * math.exp(0.2 * dw) / 2, side * math.exp(0.2 * dh) / 2)
    expected = [centre[0] - half[0], centre[1] - half[1], centre[0] + half[0], centre[1] + half[1]]
    torch.testing.assert_close(found.boxes, torch.tensor([expected]))
    torch.testing.assert_close(found.scores, torch.tensor([3.0]).sigmoid())
    marks = [[x + 0.1 * side * points[k], y + 0.1 * side * points[k + 1]] for k in range(0, 10, 2)]
    torch.testing.assert_close(found.landmarks, torch.tensor([marks]))


def test_pictures_are_bgr_less_the_mean_of_imagenet() -> None:
    red = torch.tensor([1.0, -1.0, -1.0])[None, :, None, None].expand(1, 3, 2, 2)
    torch.testing.assert_close(bgr(red)[0, :, 0, 0], torch.tensor([-104.0, -117.0, 255 - 123.0]))


def test_a_published_file_loads_strictly_and_detects(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = ARCHITECTURES["retinaface"](**SMALL)
    file = tmp_path / "mobilenet0.25_Final.pth"
    torch.save({f"module.{key}": value for key, value in module.state_dict().items()}, file)
    row = DetectorRow(
        "retina", "retinaface", file, sizes=(64,), threshold=0.0, config=SMALL, prefix="module."
    )
    detector = Scrfd.load(row)
    (found,) = detector.detect(torch.rand(1, 3, 48, 64) * 2 - 1)
    assert found
    assert found[0].landmarks.shape == (5, 2)
    with pytest.raises(ModelError, match="lacks"):
        Scrfd.load(DetectorRow("retina", "retinaface", file, sizes=(64,), config=SMALL))


def test_the_score_is_the_softmax_of_two_classes() -> None:
    torch.manual_seed(0)
    module = ARCHITECTURES["retinaface"](**SMALL).eval()
    picture = torch.rand(1, 3, SIDE, SIDE) * 2 - 1
    with torch.no_grad():
        maps = module.fpn(module.body(bgr(picture)))
        classes = module.ClassHead[0](module.ssh1(maps[0])).softmax(-1)[..., 1:]
        torch.testing.assert_close(RetinaFaceNetwork(module)(picture)[0], classes)

"""Refined landmarks come back to the picture they were found in; boxes and scores stay."""

import torch
from torch import Tensor, nn

from visard.faces.alignment import template
from visard.faces.detector import Face
from visard.faces.recognizer import InputSpec
from visard.faces.refinement import HEAD, PASSES, RefinedDetector, outputs
from visard.faces.regressor import FaceRegressor, Head

SIZE = 32


class Rough:
    name, setting, weights = "rough", "threshold .5", "rough weights"

    def __init__(self, landmarks: Tensor) -> None:
        self.landmarks = landmarks

    def detect(self, images: Tensor) -> list[list[Face]]:
        box = torch.tensor([1.0, 2.0, 30.0, 40.0])
        return [[Face(box, 0.9, points)] if len(points) else [] for points in self.landmarks]


class Says(nn.Module):
    """A network that always gives the same shares of the crop."""

    def __init__(self, shares: Tensor) -> None:
        super().__init__()
        self.shares = shares

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        return {HEAD: self.shares.expand(len(crops), 10)}


def _regressor(points: Tensor) -> FaceRegressor:
    head = Head(HEAD, "continuous", tuple(outputs()))
    return FaceRegressor(
        Says((points / SIZE).flatten()), name="l", spec=InputSpec(SIZE), heads=(head,), margin=0.2
    )


def _rough(angle: float, scale: float) -> Tensor:
    turn = torch.tensor(
        [
            [torch.tensor(angle).cos(), -torch.tensor(angle).sin()],
            [torch.tensor(angle).sin(), torch.tensor(angle).cos()],
        ]
    )
    return template(SIZE, 0.2) @ turn.T * scale + torch.tensor([11.0, 7.0])


def test_a_regressor_that_says_the_template_changes_nothing() -> None:
    rough = torch.stack([_rough(0.3, 1.7), _rough(-0.2, 2.1)])
    detector = RefinedDetector(Rough(rough), _regressor(template(SIZE, 0.2)))
    found = detector.detect(torch.zeros(2, 3, 96, 96))
    for faces, before in zip(found, rough, strict=True):
        assert torch.allclose(faces[0].landmarks, before, atol=1e-3)
        assert faces[0].score == 0.9


def test_a_shift_in_the_crop_is_turned_and_scaled_back() -> None:
    rough = _rough(torch.pi / 2, 2.0)[None]
    shifted = template(SIZE, 0.2) + torch.tensor([1.0, 0.0])
    detector, blank = RefinedDetector(Rough(rough), _regressor(shifted)), torch.zeros(1, 3, 96, 96)
    moved = torch.tensor([0.0, 2.0]).expand(5, 2)
    assert torch.allclose(detector.refine(blank, rough)[0] - rough[0], moved, atol=1e-3)
    looked_at = detector.detect(blank)[0][0].landmarks
    assert torch.allclose(looked_at - rough[0], PASSES * moved, atol=1e-3)  # every look moves it again


def test_pictures_without_a_face_stay_without() -> None:
    detector = RefinedDetector(Rough(torch.zeros(2, 0, 2)), _regressor(template(SIZE, 0.2)))
    assert detector.detect(torch.zeros(2, 3, 64, 64)) == [[], []]
    assert "refined" in detector.setting

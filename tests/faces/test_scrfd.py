"""SCRFD: letterboxes, sizes, and the way from a network to faces in the picture's own pixels."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from visard.errors import ModelError
from visard.faces.architectures.reduced import REDUCED
from visard.faces.scrfd import DetectorRow, OnnxNetwork, Scrfd, TorchNetwork, letterbox, normalise


class BrightSpot:
    """A "network" that finds one face, 32 px wide, at the brightest point of its canvas."""

    def __init__(self, canvas: int | None = None) -> None:
        self.canvas = canvas
        self.seen: list[Tensor] = []

    def __call__(self, canvas: Tensor) -> list[Tensor]:
        self.seen.append(canvas)
        batch, _, height, width = canvas.shape
        counts = [(height // stride) * (width // stride) * 2 for stride in (8, 16, 32)]
        outputs = [torch.zeros(batch, count, values) for values in (1, 4, 10) for count in counts]
        for index, picture in enumerate(canvas.mean(1)):
            bright = (picture - picture.min()) ** 8
            rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            x, y = (columns * bright).sum() / bright.sum(), (rows * bright).sum() / bright.sum()
            cell_x, cell_y = int(x // 8), int(y // 8)
            row = (cell_y * (width // 8) + cell_x) * 2
            off = torch.stack([x, y]) / 8 - torch.tensor([cell_x, cell_y])
            outputs[0][index, row] = 0.9
            outputs[3][index, row] = torch.cat([2 - off, 2 + off])
            outputs[6][index, row] = (
                off + torch.tensor([[-1.0, -1], [1, -1], [0, 0], [-1, 1], [1, 1]])
            ).flatten()
        return outputs


def spot(x: int, y: int, height: int, width: int) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (2 * torch.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 50) - 1).expand(1, 3, -1, -1)


@pytest.mark.parametrize("canvas", [None, 256])
@pytest.mark.parametrize("margin", [0.0, 0.25])
@pytest.mark.parametrize(("height", "width"), [(100, 140), (200, 90), (128, 128)])
def test_letterbox_round_trip(height: int, width: int, margin: float, canvas: int | None) -> None:
    found, box = letterbox(spot(60, 44, height, width), 128, margin, canvas)
    assert found.shape[-1] % 32 == 0
    assert found.shape[-2] % 32 == 0
    bright = (found[0, 0] + 1) ** 4
    rows, columns = torch.meshgrid(
        torch.arange(found.shape[-2]), torch.arange(found.shape[-1]), indexing="ij"
    )
    peak = torch.stack([(columns * bright).sum(), (rows * bright).sum()]) / bright.sum()
    torch.testing.assert_close(box.back(peak), torch.tensor([60.0, 44.0]), rtol=0, atol=0.1)


def test_letterbox_is_top_left_on_black() -> None:
    found, _ = letterbox(torch.ones(1, 3, 50, 100), 128)
    assert found.shape[-2:] == (64, 128)
    assert bool((found[..., :64, :] > 0.99).all())
    found, _ = letterbox(torch.ones(1, 3, 50, 100), 128, canvas=160)
    assert bool((found[..., 64:, :] == -1).all())
    assert bool((found[..., 128:] == -1).all())


def test_a_size_that_does_not_fit_the_network_is_refused() -> None:
    Scrfd(BrightSpot(96), sizes=(64,), margin=0.25)
    with pytest.raises(ValueError, match="112 px with margins do not fit"):
        Scrfd(BrightSpot(96), sizes=(32, 64), margin=0.375)


def test_black_and_white_as_scrfd_was_trained() -> None:
    torch.testing.assert_close(
        normalise(torch.tensor([-1.0, 1.0])), torch.tensor([-127.5 / 128, 127.5 / 128])
    )


@pytest.mark.parametrize("canvas", [None, 192])
def test_faces_come_back_in_the_pictures_own_pixels(canvas: int | None) -> None:
    detector = Scrfd(BrightSpot(canvas), sizes=(64, 96, 128), margin=0.1)
    pictures = torch.cat([spot(30, 50, 100, 100), spot(70, 40, 100, 100)])
    found = detector.detect(pictures)
    for faces, place in zip(found, ([30.0, 50.0], [70.0, 40.0]), strict=True):
        torch.testing.assert_close(faces[0].landmarks[2], torch.tensor(place), rtol=0, atol=0.3)
        centre = (faces[0].box[:2] + faces[0].box[2:]) / 2
        torch.testing.assert_close(centre, torch.tensor(place), rtol=0, atol=0.3)
        assert faces[0].score == pytest.approx(0.9)


def test_every_size_is_a_pass_and_the_setting_names_them() -> None:
    network = BrightSpot()
    detector = Scrfd(network, sizes=(64, 96), margin=0.25, threshold=0.6)
    detector.detect(spot(30, 50, 80, 80))
    assert [seen.shape[-1] for seen in network.seen] == [96, 160]
    assert detector.setting == "threshold 0.6, NMS 0.4, sizes 64+96, margin 0.25"


def test_passes_that_see_the_same_face_give_one() -> None:
    detector = Scrfd(BrightSpot(), sizes=(100, 104))
    assert [len(faces) for faces in detector.detect(spot(30, 50, 100, 100))] == [1]


def test_detection_holds_no_gradient() -> None:
    picture = spot(30, 50, 64, 64).clone().requires_grad_()
    (faces,) = Scrfd(BrightSpot(), sizes=(64,)).detect(picture)
    assert not faces[0].landmarks.requires_grad


def test_no_sizes_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one size"):
        Scrfd(BrightSpot(), sizes=())


def test_the_projects_own_network_through_the_same_decoder(tmp_path: Path) -> None:
    module = REDUCED["detector"].build()
    save_file(module.state_dict(), tmp_path / "detector.safetensors")
    row = DetectorRow("micro", "scrfd_micro", tmp_path / "detector.safetensors", sizes=(96,), threshold=0.0)
    detector = Scrfd.load(row)
    found = detector.detect(torch.zeros(2, 3, 96, 64))
    assert len(found) == 2
    scores = [face.score for face in found[0]]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] < 0.2, "a fresh network starts from its prior: no face"


def test_a_torch_networks_logits_become_probabilities() -> None:
    network = TorchNetwork(REDUCED["detector"].build())
    outputs = network(torch.zeros(1, 3, 64, 96))
    shapes = [tuple(output.shape[1:]) for output in outputs]
    assert shapes == [(cells * 2, values) for values in (1, 4, 10) for cells in (96, 24, 6)]
    assert all(float(output.detach().min()) >= 0 for output in outputs[:6])
    assert all(float(output.detach().max()) <= 1 for output in outputs[:3])


def test_a_file_that_is_no_onnx_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="ONNX"):
        OnnxNetwork(tmp_path / "model.onnx")

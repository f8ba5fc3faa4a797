"""The detector's recipe: canvases whose truth is true, ATSS and the losses by hand, a shipped file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from visard.faces.scrfd import DetectorRow, Scrfd
from visard.world.dataset import Pictures
from visard.world.recipes import Job, build
from visard.world.recipes.anchors import Anchors, assign, detection_loss, diou_loss, iou
from visard.world.recipes.canvases import SIDE, compose, ellipse, inside, mirrored_landmarks, visible
from visard.world.recipes.detector import kit_row

ROWS = torch.arange(24)


def test_faces_lie_where_the_canvas_says(blobs: Callable[..., Pictures]) -> None:
    """In the stand-ins the forehead between the eyes and the chin have the colour of the face's disc."""
    batch = compose(ROWS, ROWS.flip(0), blobs(12, 2), torch.Generator().manual_seed(1))
    assert batch.pictures.shape == (24, 3, SIDE, SIDE)
    assert 0.3 < float(batch.present.float().mean()) < 0.9
    checked = 0
    for index, which in batch.present.nonzero().tolist():
        points = batch.landmarks[index, which]
        between = (points[0] + points[1]) / 2
        chin = points[2] + 2.6 * ((points[3] + points[4]) / 2 - points[2]) / 2
        box = batch.boxes[index, which]
        assert bool(((points > box[:2]) & (points < box[2:])).all())
        assert points[0, 0] < points[1, 0]
        (x1, y1), (x2, y2) = between.round().long().tolist(), chin.round().long().tolist()
        if which == 1:  # the front layer cannot be covered
            colors = batch.pictures[index, :, [y1, y2], [x1, x2]]
            checked += int((colors[:, 0] - colors[:, 1]).abs().max() < 0.2)
    assert checked >= 0.9 * int(batch.present[:, 1].sum())


def test_a_face_that_is_covered_or_cut_off_is_not_there() -> None:
    box = torch.tensor([[10.0, 10, 50, 50], [-30, 10, 10, 50], [10, 10, 50, 50]])
    cover = torch.tensor([[60.0, 60, 90, 90], [60, 60, 90, 90], [30, 0, 80, 80]])
    torch.testing.assert_close(visible(box, cover), torch.tensor([1.0, 10.5 / 40, 0.5]))
    assert inside(box)[0].sum() == 41 * 41
    assert bool(ellipse(box)[0, 30, 30])
    assert not bool(ellipse(box)[0, 5, 5])


def test_a_mirror_swaps_left_and_right() -> None:
    points = torch.tensor([[[40.0, 50], [80, 50], [60, 70], [45, 90], [75, 90]]])
    mirrored = mirrored_landmarks(points)
    assert mirrored[0, 0].tolist() == [SIDE - 1 - 80, 50]
    torch.testing.assert_close(mirrored_landmarks(mirrored), points)


def test_atss_asks_the_anchors_around_the_face() -> None:
    anchors = Anchors.of(SIDE)
    assert len(anchors.boxes) == 2 * (16**2 + 8**2 + 4**2) == sum(anchors.levels)
    boxes = torch.tensor([[[40.0, 40, 90, 95], [4, 4, 24, 26]]])
    answers, face = assign(anchors, boxes, torch.tensor([[True, True]]))
    for which in (0, 1):
        mine = answers[0] & (face[0] == which)
        assert 1 <= int(mine.sum()) <= 27
        centers = anchors.centers[mine]
        assert bool(((centers > boxes[0, which, :2]) & (centers < boxes[0, which, 2:])).all())
    assert set(anchors.strides[answers[0] & (face[0] == 1)].tolist()) == {8.0}
    nobody, _ = assign(anchors, boxes, torch.tensor([[False, False]]))
    assert int(nobody.sum()) == 0


def test_overlaps_and_distances_by_hand() -> None:
    first, second = torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[5.0, 0, 15, 10]])
    overlap = iou(first, second)
    assert float(overlap) == pytest.approx(50 / 150)
    assert float(diou_loss(first, second, overlap)) == pytest.approx(1 - 1 / 3 + 25 / (15**2 + 10**2))
    assert float(iou(first, first + 20)) == 0


def test_the_loss_is_least_for_the_truth() -> None:
    anchors = Anchors.of(SIDE)
    boxes = torch.tensor([[[40.0, 40, 90, 95]]])
    landmarks = torch.tensor([[[[52.0, 60], [78, 60], [65, 72], [55, 82], [75, 82]]]])
    present = torch.tensor([[True]])
    answers, _ = assign(anchors, boxes, present)
    stride, centers = anchors.strides[:, None], anchors.centers
    distances = torch.cat([centers - boxes[0, 0, :2], boxes[0, 0, 2:] - centers], 1) / stride
    offsets = ((landmarks[0, 0] - centers[:, None]) / stride[:, None]).flatten(1)
    logits = torch.where(answers[0], 12.0, -12.0)[:, None]

    def outputs(*parts: torch.Tensor) -> list[torch.Tensor]:
        return [level for part in parts for level in torch.split(part[None], list(anchors.levels), dim=1)]

    true = detection_loss(outputs(logits, distances, offsets), anchors, boxes, landmarks, present)
    off = detection_loss(outputs(-logits, distances + 0.5, offsets + 0.2), anchors, boxes, landmarks, present)
    assert all(float(part) < 1e-3 for part in true.values())
    assert all(float(off[name]) > 0.05 for name in true)
    empty = detection_loss(
        outputs(logits, distances, offsets), anchors, boxes, landmarks, torch.tensor([[False]])
    )
    assert float(empty["box"]) == float(empty["landmarks"]) == 0


def test_the_detector_trains_ships_and_is_measured(renders: Path, tmp_path: Path) -> None:
    scores = build("detector", Job(renders, tmp_path, steps=2))
    detector = Scrfd.load(DetectorRow(**{**kit_row(), "file": tmp_path / "detector.safetensors"}))
    assert detector.setting == "threshold 0.5, NMS 0.4, sizes 128+96, margin 0"
    assert 0 <= scores["recall at 1 false face per 1000 pictures"] <= 1
    assert scores["pictures"] == 48
    assert (tmp_path / "detector.json").is_file()

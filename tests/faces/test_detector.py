"""Decoding and suppression, on outputs made by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from visard.faces.detector import decode, nms, overlap

SIDE = 64
NAN = float("nan")


def outputs(side: int = SIDE, batch: int = 1) -> list[Tensor]:
    """Nine silent outputs of a square input."""
    counts = [(side // stride) ** 2 * 2 for stride in (8, 16, 32)]
    return [torch.zeros(batch, count, values) for values in (1, 4, 10) for count in counts]


def put(
    into: list[Tensor], level: int, row: int, score: float, box: list[float], points: list[float]
) -> None:
    into[level][0, row], into[level + 3][0, row], into[level + 6][0, row] = (
        torch.tensor([score]),
        torch.tensor(box),
        torch.tensor(points),
    )


@pytest.mark.parametrize(("level", "stride"), [(0, 8), (1, 16), (2, 32)])
def test_a_box_is_the_cell_less_and_plus_distances_in_strides(level: int, stride: int) -> None:
    made = outputs()
    columns = SIDE // stride
    cell_row, cell_column, anchor = 1, 1, 1
    points = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    put(made, level, (cell_row * columns + cell_column) * 2 + anchor, 0.9, [1, 0.5, 2, 0.25], points)
    (found,) = decode(made, SIDE, SIDE, threshold=0.5)
    x, y = cell_column * stride, cell_row * stride
    box = [x - stride, y - 0.5 * stride, x + 2 * stride, y + 0.25 * stride]
    torch.testing.assert_close(found.boxes, torch.tensor([box]))
    torch.testing.assert_close(found.scores, torch.tensor([0.9]))
    expected = torch.tensor(points).reshape(1, 5, 2) * stride + torch.tensor([x, y])
    torch.testing.assert_close(found.landmarks, expected)


def test_cells_run_along_rows_of_inputs_that_are_not_square() -> None:
    height, width = 32, 96
    counts = [(height // stride) * (width // stride) * 2 for stride in (8, 16, 32)]
    made = [torch.zeros(1, count, values) for values in (1, 4, 10) for count in counts]
    put(made, 0, (2 * 12 + 7) * 2, 0.8, [1, 1, 1, 1], list(range(10)))
    (found,) = decode(made, height, width, threshold=0.5)
    torch.testing.assert_close(found.boxes, torch.tensor([[48.0, 8.0, 64.0, 24.0]]))


def test_what_cannot_be_a_face_is_none() -> None:
    made = outputs()
    points = [float(value) for value in range(10)]
    put(made, 0, 0, 0.4, [1, 1, 1, 1], points)  # below the threshold
    put(made, 0, 2, 0.9, [0, 0, 0, 0], points)  # no area
    put(made, 0, 4, 0.9, [1, 1, -2, 1], points)  # corners swapped
    put(made, 0, 6, 0.9, [1, NAN, 1, 1], points)
    put(made, 0, 8, 0.9, [1, 1, 1, 1], [NAN, *points[1:]])
    put(made, 0, 10, 0.9, [1, 1, 1, 1], [2.0] * 10)  # all landmarks in one place
    put(made, 0, 12, NAN, [1, 1, 1, 1], points)
    (found,) = decode(made, SIDE, SIDE, threshold=0.5)
    assert len(found.scores) == 0


def test_pictures_of_a_batch_are_decoded_apart() -> None:
    made = outputs(batch=2)
    put(made, 0, 0, 0.9, [1, 1, 1, 1], list(range(10)))
    first, second = decode(made, SIDE, SIDE, threshold=0.5)
    assert (len(first.scores), len(second.scores)) == (1, 0)


def test_outputs_of_another_input_size_are_refused() -> None:
    with pytest.raises(ValueError, match="stride 8"):
        decode(outputs(64), 96, 96, threshold=0.5)


def test_overlap_by_hand() -> None:
    box = torch.tensor([0.0, 0, 2, 2])
    others = torch.tensor([[0.0, 0, 2, 2], [1, 1, 3, 3], [5, 5, 6, 6], [1, 1, 1, 1]])
    torch.testing.assert_close(overlap(box, others), torch.tensor([1.0, 1 / 7, 0.0, 0.0]))


def test_nms_keeps_the_best_of_each_group_best_first() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 1, 10, 11], [50, 50, 60, 60], [51, 50, 61, 60]])
    scores = torch.tensor([0.6, 0.9, 0.7, 0.8])
    assert nms(boxes, scores, 0.4).tolist() == [1, 3]


def test_nms_at_a_high_threshold_keeps_all() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 1, 10, 11]])
    assert nms(boxes, torch.tensor([0.6, 0.9]), 0.95).tolist() == [1, 0]


@pytest.mark.parametrize(
    "box",
    [[5.0, 5, 5, 5], [9.0, 9, 1, 1], [9.0, 0, 1, 10], [NAN, 0, 1, 1], [float("-inf"), 0, float("inf"), 1]],
    ids=["empty", "swapped", "half swapped", "nan", "infinite"],
)
def test_nms_ends_on_degenerate_boxes_and_visits_each_once(box: list[float]) -> None:
    boxes = torch.tensor([box, box, [0.0, 0, 10, 10], box])
    kept = nms(boxes, torch.tensor([0.9, 0.9, 0.5, 0.1]), 0.4).tolist()
    assert len(kept) == len(set(kept))
    assert 2 in kept


def test_nms_of_nothing_is_nothing() -> None:
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.4).tolist() == []

"""ONNX recognisers: judges that see what their row says, and have no gradient."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from support.onnx import write_mean
from visard.errors import ModelError
from visard.faces.recognizer import InputSpec, Recognizer, RecognizerRow


@pytest.fixture
def row(tmp_path: Path) -> RecognizerRow:
    file = write_mean(tmp_path / "mean.onnx", 8)
    return RecognizerRow("mean", "judge", "onnx", file, "test", InputSpec(8, "BGR", 0, 255))


def test_it_embeds_a_batch_as_its_row_declares(row: RecognizerRow) -> None:
    loaded = Recognizer.load(row)
    assert loaded.dimension == 3
    crops = torch.tensor([[-1.0, 0.0, 1.0], [1.0, -1.0, 0.0]])[:, :, None, None].expand(-1, -1, 8, 8)
    expected = torch.tensor([[1.0, 0.5, 0.0], [0.5, 0.0, 1.0]])
    torch.testing.assert_close(loaded.features(crops), expected)


def test_it_says_that_it_has_no_gradient(row: RecognizerRow) -> None:
    crops = torch.zeros(1, 3, 8, 8, requires_grad=True)
    with pytest.raises(ValueError, match="no gradient"):
        Recognizer.load(row).embed(crops)


def test_pictures_of_another_size_are_refused(row: RecognizerRow) -> None:
    with pytest.raises(ModelError, match="the row says 16 px"):
        Recognizer.load(replace(row, input=InputSpec(16)))


def test_a_model_that_is_no_recogniser_is_refused(row: RecognizerRow) -> None:
    write_mean(row.file, 8, outputs=("one", "two"))
    with pytest.raises(ModelError, match="2 outputs"):
        Recognizer.load(row)


def test_a_damaged_file_is_refused(row: RecognizerRow) -> None:
    row.file.write_bytes(row.file.read_bytes()[:40])
    with pytest.raises(ModelError, match="cannot be opened as an ONNX model"):
        Recognizer.load(row)

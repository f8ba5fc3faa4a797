"""Regressors: heads mean what their description says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from visard.errors import ModelError
from visard.faces.alignment import TEMPLATE_112, align, template
from visard.faces.architectures.reduced import REDUCED
from visard.faces.recognizer import InputSpec
from visard.faces.regressor import FaceRegressor, Head, RegressorRow, head_sizes

HAIR = Head("hair", "categorical", ("black", "brown", "red"))
WORN = Head("worn", "binary", ("glasses", "hat"))
POSE = Head("pose", "continuous", ("yaw", "pitch"), mean=(1.0, 2.0), scale=(30.0, 20.0), unit="degrees")
HEADS = (HAIR, WORN, POSE)


def test_categorical_heads_read_as_probabilities_of_the_classes() -> None:
    found = HAIR.read(torch.tensor([[0.0, 0, 0], [0, 100, 0]]))
    torch.testing.assert_close(found, torch.tensor([[1 / 3, 1 / 3, 1 / 3], [0, 1, 0]]))


def test_binary_heads_read_as_one_probability_a_question() -> None:
    torch.testing.assert_close(WORN.read(torch.tensor([[0.0, 100]])), torch.tensor([[0.5, 1]]))


def test_continuous_heads_read_in_their_unit_and_back() -> None:
    raw = torch.tensor([[1.0, -1], [0, 0]])
    torch.testing.assert_close(POSE.read(raw), torch.tensor([[31.0, -18], [1, 2]]))
    torch.testing.assert_close(POSE.standardise(POSE.read(raw)), raw)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "x", "kind": "binary", "outputs": ()},
        {"name": "x", "kind": "binary", "outputs": ("a",), "mean": (1.0,)},
        {"name": "x", "kind": "continuous", "outputs": ("a", "b"), "scale": (1.0,)},
    ],
)
def test_descriptions_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="head x"):
        Head(**wrong)  # type: ignore[arg-type]


@pytest.fixture
def row(tmp_path: Path) -> RegressorRow:
    torch.manual_seed(0)
    save_file(
        REDUCED["regressor"].build(heads=head_sizes(HEADS)).state_dict(), tmp_path / "faces.safetensors"
    )
    return RegressorRow("faces", tmp_path / "faces.safetensors", InputSpec(64), HEADS, margin=0.3)


def test_a_loaded_regressor_predicts_every_head(row: RegressorRow) -> None:
    found = FaceRegressor.load(row)(torch.rand(2, 3, 64, 64) * 2 - 1)
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "hair": (2, 3),
        "worn": (2, 2),
        "pose": (2, 2),
    }
    torch.testing.assert_close(found["hair"].sum(1), torch.ones(2))


def test_it_sees_the_margin_its_row_asks_for() -> None:
    class Look(nn.Module):
        seen: Tensor

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            self.seen = x
            return {"worn": torch.zeros(len(x), 2)}

    look = Look()
    regressor = FaceRegressor(look, name="look", spec=InputSpec(64), heads=(WORN,), margin=0.3)
    pictures, points = torch.rand(1, 3, 200, 200) * 2 - 1, TEMPLATE_112[None] + 44
    regressor.predict_faces(pictures, points)
    torch.testing.assert_close(look.seen, align(pictures, points, 64, template(64, 0.3)))


def test_other_heads_than_the_files_are_refused(row: RegressorRow) -> None:
    with pytest.raises(ModelError, match="has not"):
        FaceRegressor.load(RegressorRow("faces", row.file, row.input, (HAIR, WORN)))


def test_a_head_named_twice_is_refused(row: RegressorRow) -> None:
    with pytest.raises(ModelError, match="twice"):
        FaceRegressor.load(RegressorRow("faces", row.file, row.input, (HAIR, HAIR)))

"""The regressor's recipe: heads from the truth, mirrors that mirror, errors beside what guessing gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from visard.faces.recognizer import InputSpec
from visard.faces.regressor import FaceRegressor, Head, RegressorRow, head_sizes
from visard.world.dataset import CLASSES, Pictures
from visard.world.recipes import Job, build, regressors


def test_heads_carry_the_means_and_scales_of_their_set(blobs: Callable[..., Pictures]) -> None:
    pictures = blobs(4, 2)
    heads = {head.name: head for head in regressors.heads_for(pictures)}
    assert heads["hair_color"].outputs == CLASSES["hair_color"]
    assert heads["age"].mean[0] == pytest.approx(float(pictures.truth["age"].mean()))
    truth = regressors.targets(pictures, tuple(heads.values()))
    assert truth["pose"].shape == (8, 2)
    standard = heads["age"].standardise(truth["age"])
    assert float(standard.mean()) == pytest.approx(0, abs=1e-4)
    assert truth["beard"].dtype == torch.long


def test_a_mirrored_face_looks_the_other_way() -> None:
    heads = (Head("pose", "continuous", ("yaw", "pitch"), (0.0, 0.0), (10.0, 10.0)),)
    truth, raw = {"pose": torch.tensor([[20.0, 5.0]])}, {"pose": torch.tensor([[-2.0, 0.5]])}
    assert float(regressors.head_losses(heads, raw, truth, mirror=True)["pose"]) == pytest.approx(0)
    assert float(regressors.head_losses(heads, raw, truth, mirror=False)["pose"]) > 1


class Knowing(torch.nn.Module):
    """Says the same to every face: surely the first class, surely yes, the mean quantity."""

    def __init__(self, heads: tuple[Head, ...]) -> None:
        super().__init__()
        self.sizes = head_sizes(heads)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        zeros = {name: torch.zeros(len(x), size) for name, size in self.sizes.items()}
        zeros["accessories"] += 9
        for name in regressors.CATEGORICAL:
            zeros[name][:, 0] = 9
        return zeros


def test_errors_are_those_of_the_answers(blobs: Callable[..., Pictures]) -> None:
    pictures = blobs(10, 2)
    heads = regressors.heads_for(pictures)
    regressor = FaceRegressor(Knowing(heads), name="knowing", spec=InputSpec(32), heads=heads, margin=0.4)
    scores = regressors.measure(regressor, pictures)
    beard = pictures.truth["beard"]
    assert scores["beard: accuracy"] == pytest.approx(float((beard == 0).mean()))
    assert scores["hat: accuracy"] == pytest.approx(float(pictures.truth["hat"].mean()))
    age = pictures.truth["age"]
    assert scores["age: mean error"] == pytest.approx(float(abs(age - age.mean()).mean()), rel=1e-3)
    haired = pictures.truth["hair_style"] != CLASSES["hair_style"].index("bald")
    assert scores["hair_color: accuracy"] == pytest.approx(
        float((pictures.truth["hair_color"][haired] == 0).mean())
    )


def test_the_regressor_trains_ships_and_is_measured(renders: Path, tmp_path: Path) -> None:
    scores = build("regressors", Job(renders, tmp_path, steps=2))
    row = json.loads((tmp_path / "regressors.json").read_text())["row"]
    heads = tuple(
        Head(
            head["name"],
            head["kind"],
            tuple(head["outputs"]),
            tuple(head["mean"]),
            tuple(head["scale"]),
            head["unit"],
        )
        for head in row["heads"]
    )
    file, spec = tmp_path / row["file"], InputSpec(**row["input"])
    loaded = FaceRegressor.load(RegressorRow(row["name"], file, spec, heads, row["margin"]))
    assert loaded.margin == regressors.MARGIN
    assert {"glasses: accuracy", "yaw: mean error", "hair_style: share of the commonest"} <= set(scores)

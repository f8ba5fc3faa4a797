"""The world's check: verdicts, the figures it asks every kind of model for, and a table a person can read."""

from __future__ import annotations

import io
import json
import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from visard.diffusion.backbone import Backbone, Posterior
from visard.diffusion.blueprints import write_blueprint
from visard.faces.detector import Face
from visard.faces.recognizer import InputSpec, Recognizer
from visard.faces.regressor import FaceRegressor, Head
from visard.faces.scrfd import Scrfd
from visard.world import check
from visard.world.check import Finding
from visard.world.dataset import CLASSES, Pictures


class Colors(nn.Module):
    """Knows people by the mean colours of a coarse grid."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(x, 8).flatten(1)


class Always(nn.Module):
    """Sees the same in every face: red hair, glasses, no hat."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        hair = torch.zeros(len(x), len(CLASSES["hair_color"]))
        hair[:, CLASSES["hair_color"].index("red")] = 9
        return {"hair_color": hair, "accessories": torch.tensor([9.0, -9.0]).expand(len(x), 2)}


class OneFace:
    """Finds one face in every picture but the first."""

    name, setting = "fake", "always"

    def detect(self, images: Tensor) -> list[list[Face]]:
        points = torch.tensor([[10.0, 10], [20, 10], [15, 15], [11, 20], [19, 20]])
        face = Face(torch.tensor([8.0, 6, 22, 24]), 0.9, points)
        return [[]] + [[face] for _ in images[1:]]


def painted(people: int, per_person: int) -> Pictures:
    """People who are plain colours."""
    colors = np.random.default_rng(0).integers(40, 215, (people, 1, 8, 8, 3))
    noise = np.random.default_rng(1).integers(-6, 7, (people, per_person, 8, 8, 3))
    pixels = (colors + noise).astype(np.uint8).reshape(-1, 8, 8, 3).repeat(4, 1).repeat(4, 2)
    count = people * per_person
    landmarks = np.array([[10, 10], [20, 10], [15, 15], [11, 20], [19, 20]], np.float32)
    return Pictures(
        pixels,
        np.arange(people).repeat(per_person),
        np.broadcast_to(landmarks, (count, 5, 2)).copy(),
        np.broadcast_to(np.array([8, 6, 22, 24], np.float32), (count, 4)).copy(),
        {},
        [""] * count,
    )


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return Backbone.load(write_blueprint("tiny", tmp_path_factory.mktemp("model") / "tiny"))


def recognizer() -> Recognizer:
    return Recognizer(Colors(), name="colors", family="colors", spec=InputSpec(32))


def test_a_verdict_is_pass_fail_or_none() -> None:
    assert Finding("m", "w", 0.95, 0.95).passed is True
    assert Finding("m", "w", 0.94, 0.95).passed is False
    assert Finding("m", "w", 0.03, 0.03, at_least=False).passed is False
    assert Finding("m", "w", 0.02, 0.03, at_least=False).passed is True
    assert Finding("m", "w", math.nan, 0.03).passed is False
    assert Finding("m", "w", 1.0).passed is None


def test_the_requirements_are_those_of_the_world() -> None:
    assert check.RECOGNITION == {"TMR @ FMR 0.001": 0.95, "rank-1, one photo enrolled": 0.98}
    assert check.STRANGERS[0] == 112
    wanted = (check.AFTER_ENCODING, check.FACES, check.OBEYED, check.RESEMBLANCE, check.SECONDS)
    assert wanted == (0.95, 0.98, 0.90, 0.75, 120)
    assert set(check.PROMPTS) == {*(f"{color} hair" for color in CLASSES["hair_color"]), "glasses", "hat"}


def test_recognition_is_asked_of_every_recogniser() -> None:
    findings = check.check_recognition([recognizer(), recognizer()], painted(20, 3))
    assert [finding.what for finding in findings] == 2 * list(check.RECOGNITION)
    assert all(finding.passed for finding in findings)


class Faithful(Backbone):
    """An autoencoder that changes nothing."""

    def encode(self, images: Tensor) -> Posterior:
        return Posterior(images, torch.zeros_like(images))

    def decode(self, latents: Tensor) -> Tensor:
        return latents


class Forgetful(Faithful):
    """An autoencoder that paints what it likes."""

    def decode(self, latents: Tensor) -> Tensor:
        return torch.rand(latents.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize(("kind", "kept"), [(Faithful, 1.0), (Forgetful, 0.0)])
def test_the_autoencoder_answers_for_what_it_loses(
    backbone: Backbone, kind: type[Backbone], kept: float
) -> None:
    double = kind.__new__(kind)
    double.__dict__ = backbone.__dict__
    (finding,) = check.check_autoencoder(double, [recognizer()], painted(20, 3))
    assert finding.value == pytest.approx(kept, abs=0.1)
    assert finding.passed is (kept == 1)
    assert "colors" in finding.what


def test_sampling_counts_every_picture(backbone: Backbone) -> None:
    heads = (
        Head("hair_color", "categorical", CLASSES["hair_color"]),
        Head("accessories", "binary", ("glasses", "hat")),
    )
    reader = FaceRegressor(Always(), name="always", spec=InputSpec(32), heads=heads)
    findings = check.check_sampling(backbone, OneFace(), {"always": reader}, samples=4, steps=2)
    success, *obeyed = findings
    assert success.value == 0.75  # one picture in four has no face, for each prompt
    values = {finding.what: finding.value for finding in obeyed}
    assert values.pop("asked for red hair, got it") == 0.75
    assert values.pop("asked for glasses, got it") == 0.75
    assert set(values.values()) == {0}
    assert success.passed is False


def test_the_detector_is_measured_below_its_threshold_and_left_as_it_is() -> None:
    asked: list[float] = []

    class Network:
        canvas = None

        def __call__(self, canvas: Tensor) -> list[Tensor]:
            asked.append(detector.threshold)
            cells = [
                2 * (canvas.shape[-1] // stride) * (canvas.shape[-2] // stride) for stride in (8, 16, 32)
            ]
            return [torch.zeros(len(canvas), count, size) for size in (1, 4, 10) for count in cells]

    detector = Scrfd(Network(), name="blind", sizes=(128,))
    pictures = painted(4, 2)
    pictures.pixels = pictures.pixels.repeat(4, 1).repeat(4, 2)
    findings = {finding.what: finding for finding in check.check_detector(detector, pictures)}
    assert findings["recall at 1 false face per 1000 pictures"].passed is False
    assert findings["landmark error / eye distance"].passed is False
    assert set(asked) == {0.5} == {detector.threshold}


def test_the_encoder_may_be_missing() -> None:
    assert check.check_encoder(None, painted(2, 2)) == []


def test_the_describer_may_be_missing() -> None:
    nobody: Any = None
    assert check.check_describer(None, painted(2, 2), nobody) == []


def test_a_person_and_a_program_can_read_it() -> None:
    findings = [Finding("irse", "TMR", 0.97, 0.95), Finding("detector", "error", 0.05, 0.03, at_least=False)]
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(check.table(findings))
    text = console.export_text()
    assert "pass" in text
    assert "FAIL" in text
    page = check.markdown(findings).splitlines()
    assert len(page) == 2 + len(findings)
    assert all(line.count("|") == len(check.COLUMNS) + 1 for line in page)
    content = json.loads(json.dumps(check.as_json(findings)))
    assert content["passed"] is False
    assert content["findings"][0] == {**asdict(findings[0]), "passed": True}
    assert check.as_json(findings[:1])["passed"] is True

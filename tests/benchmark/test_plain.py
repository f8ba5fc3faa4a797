"""The plain version does the work it is compared for: it trains, it perturbs inside the ball, it writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from personalization.fakes import FakeDetector, photos, recognizer
from personalization.runs import SETTINGS
from support.tiny import tiny_pipeline
from visard.benchmark import plain
from visard.diffusion.backbone import Backbone
from visard.personalization.decoupling import Stage


@pytest.fixture(scope="module", params=["epsilon", "v_prediction"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pipeline(tmp_path_factory.mktemp("plain") / "model", request.param)


def work(model: Path, **changes: Any) -> plain.Plain:
    settings = replace(SETTINGS, **changes)
    surrogates = [recognizer(0), recognizer(1)]
    pipeline = Backbone.load(model).pipeline()
    return plain.Plain(settings, photos(), pipeline, surrogates, FakeDetector(), lambda *_, **__: None)


@pytest.mark.parametrize("stage", list(Stage))
def test_a_step_moves_every_photo_inside_the_ball(model: Path, stage: Stage) -> None:
    one = work(model)
    one.perturb(stage)
    one.perturb(stage)
    moved = (one.images - one.originals).abs()
    assert moved.flatten(1).amax(1).min() > 0
    assert moved.max() <= 2 * SETTINGS.decoupling.step + 1e-6
    assert one.images.abs().max() <= 1


@pytest.mark.parametrize("method", ["dreambooth", "lora"])
def test_a_whole_run_trains_and_is_written(model: Path, tmp_path: Path, method: str) -> None:
    settings = replace(SETTINGS, method=method)
    stages: list[str] = []

    def progress(stage: str, done: int, total: int, **figures: float) -> None:
        stages.append(stage)

    surrogates = [recognizer(0), recognizer(1)]
    base, pipeline = Backbone.load(model), Backbone.load(model).pipeline()
    plain.run(
        settings, photos(), pipeline, surrogates, FakeDetector(), folder=tmp_path / "out", progress=progress
    )
    assert stages == ["class pictures", *["personalization"] * 13, "writing model"]
    if method == "dreambooth":
        after = Backbone.load(tmp_path / "out")
        changed = [
            not torch.equal(a, b)
            for a, b in zip(base.unet.parameters(), after.unet.parameters(), strict=True)
        ]
        assert all(changed)
        return
    (file,) = (tmp_path / "out").glob("*.safetensors")
    trained = {name: value for name, value in load_file(file).items() if "lora_B" in name}
    assert {name.split(".")[0] for name in trained} == {"unet", "text_encoder"}
    assert all(value.abs().max() > 0 for value in trained.values())


def test_only_what_the_method_trains_is_given_to_the_optimizer(model: Path) -> None:
    count: Callable[[plain.Plain], int] = lambda one: sum(each.numel() for each in one.parameters)  # noqa: E731
    whole, unet_alone = work(model), work(model, train_text_encoder=False)
    lora = work(model, method="lora")
    words = sum(each.numel() for each in whole.text_encoder.parameters())
    assert count(whole) - count(unet_alone) == words
    assert count(lora) < 0.2 * count(whole)

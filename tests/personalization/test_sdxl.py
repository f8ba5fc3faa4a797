"""IDDM on SDXL: both text encoders train, are saved, and come back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from personalization.runs import SETTINGS, same, start, weights
from visard.diffusion.backbone import Backbone
from visard.diffusion.blueprints import write_blueprint
from visard.diffusion.lora import load_lora
from visard.diffusion.sampling import generate

LORA = replace(SETTINGS, method="lora")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_blueprint("tiny-sdxl", tmp_path_factory.mktemp("base") / "model")


def picture(backbone: Backbone) -> Tensor:
    return generate(backbone, SETTINGS.prompts.instance, 1, seed=0, steps=2)


def test_two_rounds_to_a_full_model(folder: Path, tmp_path: Path, cache: Path) -> None:
    trained, plain = Backbone.load(folder), Backbone.load(folder)
    result = start(tmp_path / "run", trained, cache)
    assert [row["round"] for row in result.history] == [1, 2]
    assert all("S" in row and "reconstruction" in row for row in result.history)
    loaded = Backbone.load(result.model)
    assert torch.equal(picture(loaded), picture(trained))
    assert not torch.equal(picture(loaded), picture(plain))
    moved = {
        part: any(
            not torch.equal(tensor, plain.networks[part].state_dict()[name])
            for name, tensor in network.state_dict().items()
        )
        for part, network in loaded.networks.items()
    }
    assert moved == {"vae": False, "unet": True, "text_encoder": True, "text_encoder_2": True}


@pytest.mark.parametrize("file", ["lora.safetensors", "lora.kohya.safetensors"])
def test_two_rounds_to_a_lora(folder: Path, tmp_path: Path, cache: Path, file: str) -> None:
    trained, loaded = Backbone.load(folder), Backbone.load(folder)
    plain = picture(loaded)
    result = start(tmp_path / "run", trained, cache, LORA)
    assert {name.split(".")[0] for name in weights(result)} == {"unet", "text_encoder", "text_encoder_2"}
    load_lora(loaded, result.folder / file)
    assert torch.equal(picture(loaded), picture(trained))
    assert not torch.equal(picture(loaded), plain)


def test_the_text_encoders_stay_when_told(folder: Path, tmp_path: Path, cache: Path) -> None:
    settings = replace(LORA, train_text_encoder=False)
    result = start(tmp_path / "run", Backbone.load(folder), cache, settings)
    assert {name.split(".")[0] for name in weights(result)} == {"unet"}


def test_stopped_and_resumed_is_the_uninterrupted_run(folder: Path, tmp_path: Path, cache: Path) -> None:
    class StopError(Exception):
        pass

    def stop(stage: str, done: int, total: int, **figures: float) -> None:
        if stage == "personalization" and done == 8:
            raise StopError

    whole = start(tmp_path / "whole", Backbone.load(folder), cache)
    with pytest.raises(StopError):
        start(tmp_path / "stopped", Backbone.load(folder), cache, progress=stop)
    resumed = start(tmp_path / "stopped", Backbone.load(folder), cache)
    assert same(weights(whole), weights(resumed))

"""`visard bench blueprint` and `visard bench step`: a random model, and what a step on it takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

from visard.diffusion.backbone import Backbone
from visard.diffusion.blueprints import BLUEPRINTS


def test_a_random_model_is_written_and_measured(
    visard: Callable[..., Result], kit: Path, photo_folder: Callable[..., Path], tmp_path: Path
) -> None:
    model = tmp_path / "random"
    written = visard("bench", "blueprint", "tiny", model)
    assert written.exit_code == 0, written.output
    assert Backbone.load(model).resolution == 32
    options = ("--kit", kit, "--base", model, "--rounds", "1", "--sampler-steps", "1", "--device", "cpu")
    photos = photo_folder(4)
    measured = visard("bench", "step", "--photos", photos, *options, "--json")
    assert measured.exit_code == 0, measured.output
    cost = json.loads(measured.stdout)
    assert (cost["method"], cost["precision"], cost["photos"]) == ("lora", "bf16", 4)
    for who in ("ours", "plain"):
        assert "Stage II step" in [stage["stage"] for stage in cost[who]["stages"]]
    assert cost["plain over ours"]["Stage II step"].keys() == {"seconds", "memory"}
    assert cost["device_name"]
    shown = visard("bench", "step", "--photos", photos, *options, "--no-plain", "--memory", "none")
    assert "Stage II step" in shown.stdout
    assert "GB resident" in shown.stdout
    assert "plain" not in shown.stdout


def test_a_shape_that_does_not_exist_is_refused_with_those_that_do(
    visard: Callable[..., Result], tmp_path: Path
) -> None:
    refused = visard("bench", "blueprint", "sd99", tmp_path / "model")
    assert refused.exit_code == 2
    assert ", ".join(BLUEPRINTS) in refused.output

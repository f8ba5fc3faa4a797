"""What the commands do, as functions: what a command cannot show of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.kits import two_recognizers, write_kit, write_networks
from support.tiny import tiny_pipeline
from visard import api
from visard.api.photos import _side
from visard.errors import BusyError, InputError
from visard.kits import open_kit
from visard.storage import claimed


@pytest.fixture
def kit_of(tmp_path: Path) -> Path:
    """A kit that names its base model by an alias."""
    write_networks(tmp_path)
    file = write_kit(tmp_path, two_recognizers())
    file.write_text(file.read_text().replace('backbone = "model"', 'backbone = "sdxl"'))
    return file


def test_two_commands_do_not_draw_into_one_folder(tmp_path: Path) -> None:
    model, out = tiny_pipeline(tmp_path / "model"), tmp_path / "out"
    with claimed(out), pytest.raises(BusyError, match="at work"):
        api.generate(model, out, "a photo", 1, steps=1)
    assert list(out.iterdir()) == []
    assert api.generate(model, out, "a photo", 1, steps=1) == [out / "0000.png"]
    assert sorted(file.name for file in out.iterdir()) == ["0000.png", "generate.json"]


def test_the_worlds_recognisers_are_not_for_real_faces(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="its own people alone") as caught:
        api.personalize(tmp_path, tmp_path / "run", base="sd21")
    assert "--kit" in caught.value.advice
    assert not (tmp_path / "run").exists()


def test_who_trains_on_the_worlds_models_hears_for_whom_they_are(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    heard: list[str] = []
    with pytest.raises(InputError):  # there are no photos
        api.personalize(tmp_path / "photos", tmp_path / "run", tell=heard.append)
    assert "real ones take --kit and --base" in " ".join(heard)


@pytest.mark.parametrize("asked", [{"privacy": "high"}, {"decoupling": {"rho": 0.1}}])
def test_privacy_is_not_promised_by_a_training_without_the_defence(
    asked: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "settings.toml").write_text('defence = "none"')
    with pytest.raises(InputError, match="without the defence"):
        api.personalize(tmp_path, tmp_path / "run", config=tmp_path / "settings.toml", **asked)
    assert not (tmp_path / "run").exists()


def test_two_folders_do_not_tell_that_one_model_drew_both(tmp_path: Path) -> None:
    model = tiny_pipeline(tmp_path / "model")
    for name in ("one", "other"):
        api.generate(model, tmp_path / name, "a photo", 1, steps=1)
    requests = [json.loads((tmp_path / name / "generate.json").read_text()) for name in ("one", "other")]
    assert requests[0]["prompt"] == requests[1]["prompt"] == "a photo"
    assert requests[0]["model"] != requests[1]["model"]
    assert api.generate(model, tmp_path / "one", "a photo", 1, steps=1)  # and yet it is known again
    with pytest.raises(InputError, match="another request"):
        api.generate(model, tmp_path / "one", "a photo of me", 1, steps=1)
    (tmp_path / "one" / "0000.png").unlink()
    assert api.generate(model, tmp_path / "one", "a photo of me", 1, steps=1)  # nothing was drawn there


def test_the_size_of_a_kits_pictures_is_known_by_its_base_models_alias(kit_of: Path) -> None:
    assert _side(open_kit(str(kit_of)), None) == 1024

"""What the commands do, as functions: what a command cannot show of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.tiny import tiny_pipeline
from visard import api
from visard.errors import BusyError, InputError
from visard.storage import claimed


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

"""Rendered sets survive an interruption; samples come with the truth."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visard.errors import InputError
from visard.world import dataset
from visard.world.renderer import LANDMARKS
from visard.world.sampling import sample


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "render", lambda *a, **k: dataset_render(*a, compile=False, **k))
    monkeypatch.setattr(dataset, "_BATCH", 2)
    monkeypatch.setattr(dataset, "_SHARD", 2)


dataset_render = dataset.render


@pytest.mark.usefixtures("eager")
def test_an_interrupted_split_goes_on_to_the_same_pictures(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(stage: str, done: int, total: int, **figures: float) -> None:
        raise StopError

    dataset.render_split("attacker_dev", 2, 2, tmp_path / "whole")
    with pytest.raises(StopError):
        dataset.render_split("attacker_dev", 2, 2, tmp_path / "parts", progress=stop)
    dataset.render_split("attacker_dev", 2, 2, tmp_path / "parts")
    whole, parts = (dataset.load("attacker_dev", tmp_path / name) for name in ("whole", "parts"))
    assert np.array_equal(whole.pixels, parts.pixels)
    assert whole.captions == parts.captions
    assert len(whole) == 4
    assert sorted(set(whole.person.tolist())) == [75_000, 75_001]


def test_samples_are_plain_jpegs_with_their_truth(tmp_path: Path) -> None:
    folders = sample(tmp_path, people=1, per_person=2)
    content = json.loads((folders[0] / "truth.json").read_text())
    pictures = sorted(folders[0].glob("*.jpg"))
    assert [p.name for p in pictures] == list(content["pictures"])
    with Image.open(pictures[0]) as image:
        assert image.size == (128, 128)
        assert not image.getexif()
    truth = content["pictures"]["000.jpg"]
    assert set(truth["landmarks"]) == set(LANDMARKS)
    assert {"yaw", "pitch", "roll", "gaze_x", "smile", "caption", "box", "glasses", "hat"} <= set(truth)


def test_impossible_samples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no people called"):
        sample(tmp_path, split="nobody")
    with pytest.raises(InputError):
        sample(tmp_path, people=0)
    with pytest.raises(InputError, match="Too many"):
        sample(tmp_path, people=1_000_000)

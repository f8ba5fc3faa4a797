"""The kit file is assembled from the cards, and opens."""

import json
from pathlib import Path

import pytest

from visard.errors import ModelError
from visard.kits import open_kit
from visard.world.recipes import (
    Job,
    build,
    describer,
    detector,
    kit,
    landmarks,
    matcher,
    recognizers,
    regressors,
)
from visard.world.recipes.recognizers import PLANS


def _card(folder: Path, row: dict[str, object]) -> None:
    file = folder / str(row["file"])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(file.name.encode())
    file.with_suffix(".json").write_text(json.dumps({"scores": {"accuracy": 0.5}, "row": row}))


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="detector"):
        build("kit", Job(tmp_path, tmp_path))


def test_cards_become_a_kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit, "GALLERY_PEOPLE", 1)
    monkeypatch.setattr(kit, "GALLERY_PHOTOS", 1)
    heads = (landmarks.landmark_head(),)
    rows = [
        describer.kit_row(),
        detector.kit_row(),
        landmarks.kit_row(),
        matcher.kit_row(),
        regressors.kit_row(heads),
    ]
    for row in [*rows, *(recognizers.kit_row(name) for name in PLANS)]:
        _card(tmp_path, row)
    build("kit", Job(tmp_path, tmp_path))
    opened = open_kit(tmp_path / "kit.toml")
    assert {row.role for row in opened.contents.recognizers} == {"surrogate", "judge"}
    assert len(opened.contents.recognizers) == 8
    assert opened.contents.landmarks is not None
    assert opened.personalization["fine_tuning"]["steps"] > 0
    assert opened.gallery is not None
    assert len(list(opened.gallery.glob("*/*.jpg"))) == 1
    assert "| surrogates/irse | accuracy | 0.5 |" in (tmp_path / "README.md").read_text()
    assert opened.digest(Path("detector.safetensors"))
    (tmp_path / "detector.safetensors").write_bytes(b"others")
    with pytest.raises(ModelError, match="not the file"):
        opened.digest(Path("detector.safetensors"))

"""The study behind t_max: what it counts, and that noise takes the face away."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from support.bench import camera
from visard.benchmark.timesteps import study
from visard.errors import InputError
from visard.faces.scrfd import Scrfd
from visard.kits import open_kit
from visard.personalization.decoupling import Decoupling, Noise
from visard.personalization.settings import PersonalizationSettings


def look(kit: str, **options):  # type: ignore[no-untyped-def]
    models = open_kit(kit)
    settings = PersonalizationSettings().with_preset(models.personalization)
    options = {"people": [3, 4], "timesteps": [0, 500, 999], "photos": 2, "draws": 2} | options
    return study(settings, models, options.pop("people"), camera, **options)


def test_every_timestep_is_looked_at_as_often(kit: str, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    found = look(kit, progress=lambda stage, done, total, **_: calls.append((done, total)))
    assert calls == [(done, 6) for done in range(1, 7)]
    assert [row.t for row in found.rows] == [0, 500, 999]
    assert all(row.pictures == 8 and row.detected == 1.0 for row in found.rows)
    signal = [row.signal for row in found.rows]
    assert signal == sorted(signal, reverse=True)
    assert signal[0] > 0.99
    assert signal[-1] < 0.1
    assert found.rows[0].similarity.keys() == found.strangers.keys() == {"one"}
    assert all(-1 <= row.agreement <= 1 and 0 <= row.signs <= 1 for row in found.rows)
    found.write(tmp_path / "table.json")
    assert json.loads((tmp_path / "table.json").read_text())["rows"][1]["t"] == 500


def test_gradients_agree_when_their_noise_is_the_same(kit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = look(kit, people=[3], timesteps=[500]).rows
    assert row.agreement < 0.999
    assert row.signs < 1
    draw = Decoupling.draw

    def same_noise(self: Decoupling, images: torch.Tensor) -> Iterator[Noise]:
        self.generator.manual_seed(0)
        return draw(self, images)

    monkeypatch.setattr(Decoupling, "draw", same_noise)
    (row,) = look(kit, people=[3], timesteps=[500]).rows
    assert row.agreement == pytest.approx(1)
    assert row.signs == 1


def test_the_same_seed_is_the_same_table(kit: str) -> None:
    one, other = (look(kit, people=[3], timesteps=[100]) for _ in range(2))
    assert one == other
    assert one.strangers == {"one": None}  # of one person alone there is no stranger


def test_estimates_without_a_face_are_counted_and_not_compared(
    kit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain: Callable[..., list[list[object]]] = Scrfd.detect

    def photos_alone(self: Scrfd, images):  # type: ignore[no-untyped-def]
        levels = (images + 1) * 127.5
        from_a_file = (levels - levels.round()).abs().max() < 1e-3
        return plain(self, images) if from_a_file else [[] for _ in images]

    monkeypatch.setattr(Scrfd, "detect", photos_alone)
    (row,) = look(kit, people=[3], timesteps=[999]).rows
    assert (row.detected, row.similarity) == (0.0, {"one": None})


def test_what_cannot_be_looked_at_is_refused(kit: str) -> None:
    with pytest.raises(InputError, match="no timestep 1000"):
        look(kit, timesteps=[1000])
    with pytest.raises(InputError, match="show one face"):
        look(kit, photos=40)
    from visard.cli.main import app

    refused = CliRunner().invoke(app, ["bench", "tmax", "--timesteps", "1,x"])
    assert refused.exit_code == 2
    assert "no list of timesteps" in refused.output

"""`visard protect` from photos to files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from visard.cli.protect import Method
from visard.images import read_folder
from visard.protection.methods import METHODS

Run = Callable[..., Result]
Folders = Callable[..., Path]
PRESET = """
[protection.prior]
count = 2
sampler_steps = 2
[protection.methods.aspl]
rounds = 1
surrogate_steps = 1
pgd_steps = 1
[protection.methods.mist]
steps = 1
"""


@pytest.fixture
def preset(kit: Path) -> Path:
    """The small kit with protection settings of its own."""
    kit.write_text(kit.read_text() + PRESET)
    return kit


def test_from_photos_to_protected_photos(
    visard: Run, preset: Path, photo_folder: Folders, tmp_path: Path
) -> None:
    photos, out = photo_folder(2), tmp_path / "out"
    others = photo_folder(3, name="others")
    command = ["protect", photos, out, "--method", "aspl", "--radius", 0.08, "--kit", preset]
    made = visard(*command, "--clean", others, "--fidelity", "released", "--json")
    assert made.exit_code == 0, made.stderr
    values = json.loads(made.stdout)
    assert [Path(file).name for file in values["pictures"]] == ["0000.png", "0001.png"]
    assert values["radius"] == 0.08
    assert 0 < values["largest_change"] <= 0.08
    assert len(values["differs"]) == 3
    assert "protection 3/3" in made.stderr
    assert {photo.image.size for photo in read_folder(out)} == {(32, 32)}
    other = visard(*command)
    assert other.exit_code == 2
    assert "differs in settings.fidelity" in other.stderr


def test_a_target_and_what_is_not_known_to_differ(
    visard: Run, preset: Path, photo_folder: Folders, tmp_path: Path
) -> None:
    photos = photo_folder(1)
    common = ["protect", photos, "--kit", preset, "--method", "mist"]
    plain = visard(*common, tmp_path / "plain", "--fidelity", "released")
    assert plain.exit_code == 0, plain.stderr
    assert "No difference" in plain.stderr
    aimed = visard(*common, tmp_path / "aimed", "--target", photos / "00.png")
    assert aimed.exit_code == 0, aimed.stderr
    files = [(tmp_path / name / "0000.png").read_bytes() for name in ("plain", "aimed")]
    assert files[0] != files[1]


def test_any_setting_can_be_set(visard: Run, preset: Path, photo_folder: Folders, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["protect", photo_folder(1), out, "--method", "mist", "--kit", preset]
    for assignment, message in (
        ("surrogate.precisoin=fp32", "Did you mean surrogate.precision"),
        ("resume=false", "no setting resume"),
        ("seed=1", "--seed"),
    ):
        wrong = visard(*command, "--set", assignment)
        assert wrong.exit_code == 2
        assert message in wrong.stderr
    made = visard(*command, "--set", "surrogate.precision=fp32", "--set", "methods.mist.steps=2")
    assert made.exit_code == 0, made.stderr
    assert "protection 2/2" in made.stderr
    assert 'precision = "fp32"' in (out / "protect.toml").read_text()


def test_pictures_that_a_method_would_not_look_at_are_refused(
    visard: Run, preset: Path, photo_folder: Folders, tmp_path: Path
) -> None:
    photos = photo_folder(1)
    common = ["protect", photos, tmp_path / "out", "--kit", preset, "--method"]
    learning = "Leave out clean, or choose one of fsmg, aspl, targeted-aspl, simac."
    steering = "Leave out target, or choose one of targeted-aspl, mist."
    for options, message, advice in (
        (["advdm", "--clean", photos], "advdm learns from no clean photos", learning),
        (["anti-diffusion", "--clean", photos], "anti-diffusion learns from no clean photos", learning),
        (["aspl", "--target", photos / "00.png"], "aspl steers to no target", steering),
    ):
        refused = visard(*common, *options)
        assert refused.exit_code == 2
        assert message in refused.stderr
        assert advice in refused.stderr
    assert not (tmp_path / "out").exists()


def test_photos_that_were_not_changed_are_said_to_be_so(
    visard: Run, preset: Path, photo_folder: Folders, tmp_path: Path
) -> None:
    command = ["protect", photo_folder(1), tmp_path / "out", "--method", "mist", "--kit", preset]
    unchanged = visard(*command, "--set", "methods.mist.steps=0")
    assert unchanged.exit_code == 0, unchanged.stderr
    assert "Nothing was changed" in unchanged.stderr
    assert "(unchanged)" in unchanged.stdout
    again = visard(*command, "--set", "methods.mist.steps=0", "--json")
    assert json.loads(again.stdout)["psnr"] is None
    assert "Infinity" not in again.stdout


def test_the_embedded_model_is_said_to_be_no_real_one(
    visard: Run, preset: Path, photo_folder: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def notes(name: str, *options: object) -> str:
        shown = visard("protect", photos, tmp_path / name, *options)
        assert shown.exit_code == 0, shown.stderr
        return shown.stderr

    photos = photo_folder(1)
    assert "means nothing" not in notes("own", "--method", "mist", "--kit", preset)
    monkeypatch.setattr("visard.kits.WORLD", preset)
    assert "means nothing" in notes("embedded", "--method", "mist")
    assert "means nothing" not in notes("noise", "--method", "random")
    base = ("--base", preset.parent / "model", "--set", "methods.mist.steps=1")
    assert "means nothing" not in notes("real", "--method", "mist", *base)


def test_every_method_has_its_option() -> None:
    assert {each.value for each in Method} == set(METHODS)


def test_photos_are_not_written_over(visard: Run, preset: Path, photo_folder: Folders) -> None:
    photos = photo_folder(1)
    shown = visard("protect", photos, photos, "--method", "random", "--kit", preset)
    assert shown.exit_code == 2
    assert "holds other pictures" in shown.stderr
    assert sorted(file.name for file in photos.iterdir()) == ["00.png"]

"""`visard photos check` and `prepare`, as a person types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from photos.painted import SIZE, ColourDetector, colour_recognizer, photo
from visard.images import read_image

Run = Callable[..., Result]


@pytest.fixture
def visard(monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line, with a kit that knows colour people."""
    kit = SimpleNamespace(detector=ColourDetector, surrogates=lambda: [colour_recognizer()], regressors=dict)
    monkeypatch.setattr("visard.api.kits.open_kit", lambda *_: kit)

    def run(*arguments: object) -> Result:
        from visard.cli.main import app

        return CliRunner().invoke(app, ["photos", *(str(each) for each in arguments), "--size", str(SIZE)])

    return run


def test_check_tells_and_writes_the_sheet_alone(visard: Run, holiday: Path, tmp_path: Path) -> None:
    before = sorted(file for file in tmp_path.rglob("*"))
    for name in ("sheet.html", "sheet.png"):
        shown = visard("check", holiday, "--out", tmp_path / name)
        assert shown.exit_code == 0, shown.stderr
        assert "5-friend.png" in shown.stdout
        assert "left out" in shown.stdout
    assert "<html" in (tmp_path / "sheet.html").read_text(encoding="utf-8")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.info == {}
    assert sorted({*tmp_path.rglob("*")} - {*before}) == [tmp_path / "sheet.html", tmp_path / "sheet.png"]


def test_check_as_json(visard: Run, holiday: Path) -> None:
    told = json.loads(visard("check", holiday, "--json").stdout)
    assert (told["chosen"], told["photos"]) == (1, 9)
    assert told["used"] == sum(shot["verdict"].startswith("used") for shot in told["shots"])


def test_check_writes_the_sheet_before_it_asks_who(visard: Run, tmp_path: Path) -> None:
    folder = tmp_path / "couple"
    folder.mkdir()
    for seed in range(4):
        both = photo(("red", 20, 30, 44), ("green", 120, 30, 42), width=200, height=120, seed=seed)
        both.save(folder / f"{seed}.png")
    asked = visard("check", folder, "--out", tmp_path / "who.html")
    assert asked.exit_code == 2
    assert "--person" in asked.stderr
    assert "Person 2" in (tmp_path / "who.html").read_text(encoding="utf-8")
    assert visard("check", folder, "--person", 2).exit_code == 0


def test_prepare_writes_squares(visard: Run, holiday: Path, tmp_path: Path) -> None:
    made = visard("prepare", holiday, tmp_path / "squares", "--json")
    assert made.exit_code == 0, made.stderr
    told = json.loads(made.stdout)
    assert len(told["pictures"]) == told["used"] >= 4
    assert all(read_image(file).size == (SIZE, SIZE) for file in told["pictures"])
    again = visard("prepare", holiday, tmp_path / "squares")
    assert again.exit_code == 2
    assert "not empty" in again.stderr


def test_what_is_no_sheet_is_refused_before_the_work(visard: Run, holiday: Path, tmp_path: Path) -> None:
    refused = visard("check", holiday, "--out", tmp_path / "sheet.gif")
    assert refused.exit_code == 2
    assert ".html or .png" in refused.stderr

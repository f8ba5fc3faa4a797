from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import Result

from support.kits import QUICK, two_recognizers, write_kit
from support.pictures import picture
from visard import kits
from visard.cli import demo
from visard.diffusion import sampling as drawing
from visard.world import sampling


def test_the_demo_compares_both_arms_and_goes_on_where_it_stopped(
    visard: Callable[..., Result],
    kit: Path,
    photo_folder: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for person in range(3):
        photo_folder(2, name=f"kit/gallery/{person}")
    write_kit(kit.parent, QUICK + two_recognizers(), gallery="gallery")
    numbers = iter(range(100))

    def pictures(_: object, count: int, *, first: int) -> list[Image.Image]:
        return [picture(next(numbers)) for _ in range(count)]

    monkeypatch.setattr(kits, "WORLD", kit)
    monkeypatch.setattr(sampling, "pictures", pictures)
    for name, value in {"PICTURES": 2, "SAMPLER_STEPS": 1, "TRAINING_PHOTOS": 4, "OTHER_PHOTOS": 2}.items():
        monkeypatch.setattr(demo, name, value)
    monkeypatch.setattr(demo, "SETTINGS", {"seed": 0})

    out = tmp_path / "demo"
    shown = visard("demo", out)
    assert shown.exit_code == 0, shown.stderr
    assert "linked to the person by two" in shown.stdout
    assert str(out / "report.html") in shown.stdout.replace("\n", "")

    def again(*_: object, **__: object) -> None:
        raise AssertionError("what is done was done again")

    monkeypatch.setattr(sampling, "pictures", again)
    monkeypatch.setattr(drawing, "generate", again)
    values = json.loads(visard("demo", out, "--json").stdout)
    expected = [(arm, prompt) for arm in ("iddm", "none") for prompt in sorted(demo.PROMPTS)]
    assert sorted((arm["arm"], arm["prompt"]) for arm in values["arms"]) == expected
    assert Path(values["report"]).stat().st_size > 10_000

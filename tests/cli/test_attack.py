from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]
Folders = Callable[..., Path]


@pytest.fixture
def people(photo_folder: Folders) -> Callable[[str, int], None]:
    """`people("people", 2)`: that many people with photos and pictures, under that folder."""

    def make(name: str, count: int) -> None:
        for index in range(count):
            photo_folder(2, name=f"{name}/{name.replace('/', '-')}-{index}/photos")
            photo_folder(2, name=f"{name}/{name.replace('/', '-')}-{index}/pictures")

    return make


def test_folders_of_people_are_attacked(
    visard: Run, kit: Path, people: Callable[[str, int], None], photo_folder: Folders, tmp_path: Path
) -> None:
    people("people", 2)
    people("others/dev", 2)
    for person in range(3):
        photo_folder(2, name=f"strangers/{person}")
    out = tmp_path / "attack.json"
    command = [
        "attack",
        tmp_path / "people",
        "--gallery",
        tmp_path / "strangers",
        "--kit",
        kit,
        "--tier",
        "T1",
    ]
    found = visard(*command, "--attacker", tmp_path / "others", "--to", out, "--json")
    assert found.exit_code == 0, found.stderr
    tree = json.loads(found.stdout)
    assert [each["tier"] for each in tree["tiers"]] == ["T0", "T1"]
    assert tree == json.loads(out.read_text())
    assert "cannot show a false-positive rate" in tree["tiers"][0]["cautions"][0]
    assert str(tmp_path) not in found.stdout

    alone = visard(*command)
    assert alone.exit_code == 2
    assert "--attacker" in alone.stderr
    wrong = visard(*command[:-1], "T7", "--attacker", tmp_path / "others")
    assert wrong.exit_code == 2
    assert "no attack tier T7" in wrong.stderr
    (tmp_path / "others" / "dev" / "others-dev-0" / "pictures" / "00.png").rename(tmp_path / "kept.png")
    (tmp_path / "others" / "dev" / "others-dev-0" / "pictures" / "01.png").unlink()
    empty = visard(*command, "--attacker", tmp_path / "others")
    assert empty.exit_code == 2
    assert "holds no pictures" in empty.stderr

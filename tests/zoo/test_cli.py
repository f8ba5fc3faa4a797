from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from support.kits import face_in_the_middle, recognizer_row, write_kit, write_networks
from visard.faces.scrfd import Scrfd
from visard.images import save_image
from visard.zoo import table


def visard(*arguments: object) -> Result:
    from visard.cli.main import app

    return CliRunner().invoke(app, ["models", *map(str, arguments)])


def test_what_is_here_and_under_which_licence(published: Path) -> None:
    assert visard("add", published, "--as", "small").exit_code == 0
    shown = visard("list")
    (line,) = [line for line in shown.stdout.splitlines() if line.startswith("small")]
    assert "yes" in line
    values = json.loads(visard("list", "--json").stdout)["models"]
    assert values["small"]["sha256_here"]
    assert values["foreign"]["sha256_here"] is None
    assert values["small"]["weights_licence"] == "non-commercial research only"
    assert (values["small"]["differentiable"], values["foreign"]["differentiable"]) == (True, False)


def test_adding_says_what_is_not_proven(published: Path) -> None:
    added = visard("add", published, "--as", "small", "--json")
    assert "not recorded yet" in added.stderr
    assert json.loads(added.stdout)["licence"] == "non-commercial research only"


@pytest.mark.parametrize(("name", "code"), [("smal", 2), ("base", 2), ("finder", 3)])
def test_adding_as_what_it_is_not_is_refused(published: Path, name: str, code: int) -> None:
    assert visard("add", published, "--as", name).exit_code == code


def test_checking_records_then_refuses_a_wrong_input(published: Path) -> None:
    visard("add", published, "--as", "small")
    assert "not recorded yet" in visard("check", "small").stdout
    assert visard("check", "--record").exit_code == 0
    assert "as recorded" in visard("check").stdout
    table.TABLE.write_text(
        table.TABLE.read_text().replace("{ size = 32 }", '{ size = 32, channels = "BGR" }')
    )
    refused = visard("check", "small", "--json")
    assert refused.exit_code == 3
    assert "RGB input" in refused.stderr
    assert json.loads(refused.stdout)["wrong"] == 1


def test_a_kit_is_checked_on_photos_of_known_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_networks(tmp_path)
    kit = write_kit(tmp_path, recognizer_row("two", "judge", "b.safetensors"))
    monkeypatch.setattr(Scrfd, "detect", face_in_the_middle)
    torch.manual_seed(0)
    for person in ("ann", "bob"):
        for index in range(2):
            save_image(torch.rand(3, 64, 64) * 2 - 1, tmp_path / "people" / person / f"{index}.png")
    shown = json.loads(visard("check", kit, "--photos", tmp_path / "people", "--json").stdout)
    detector, judge = shown["models"]
    assert detector["detected"] == "faces in 4 of 4 photos"
    assert (judge["separation"]["mated"], judge["separation"]["others"]) == (2, 4)
    assert judge["recorded"] == "not recorded yet"


def test_licences_of_a_kit_and_of_all(tmp_path: Path) -> None:
    write_networks(tmp_path)
    kit = write_kit(tmp_path, '[[recognizers]]\nzoo = "small"\nrole = "judge"\n')
    assert "non-commercial" in visard("licenses", kit).stdout
    everything = json.loads(visard("licenses", "--json").stdout)["licences"]
    assert {each["model"] for each in everything} == {"small", "foreign", "finder", "base"}

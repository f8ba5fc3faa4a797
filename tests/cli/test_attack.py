from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from typer.testing import Result

from support.bench import write_folk
from visard import api
from visard.attacks.result import as_tree

Run = Callable[..., Result]
Folders = Callable[..., Path]
SMALL = ("--pictures", 1, "--strangers", 2, "--steps", 1, "--workers", 1)


@pytest.fixture
def people(photo_folder: Folders) -> Callable[[str, int], None]:
    """`people("people", 2)`: that many people with photos and pictures, under that folder."""

    first = count(10, 10)

    def make(name: str, people: int) -> None:
        for index in range(people):
            person = f"{name}/{name.replace('/', '-')}-{index}"
            photo_folder(2, name=f"{person}/photos", first=next(first))
            photo_folder(2, name=f"{person}/pictures", first=next(first))

    return make


def test_folders_of_people_are_attacked(
    visard: Run, kit: Path, people: Callable[[str, int], None], photo_folder: Folders, tmp_path: Path
) -> None:
    people("people", 2)
    people("others/dev", 2)
    for person in range(3):
        photo_folder(2, name=f"strangers/{person}", first=1000 + 10 * person)
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

    page = tmp_path / "report.html"
    reported = visard(*command, "--attacker", tmp_path / "others", "--report", page)
    assert reported.exit_code == 0, reported.stderr
    assert f"The report is in {page}" in reported.stdout
    html = page.read_text()
    assert '<h2 id="tiers">Stronger attacks</h2>' in html
    assert "Linkability audit with attack tiers" in html
    assert "published" in html
    assert "<img" not in html
    assert str(tmp_path) not in html

    shown = api.attack(
        tmp_path / "people",
        tier="T1",
        attacker=tmp_path / "others",
        gallery=tmp_path / "strangers",
        kit=kit,
    )
    assert as_tree(shown) == tree

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


def test_a_benchmark_is_attacked_and_reported(visard: Run, bench_kit: str, tmp_path: Path) -> None:
    out, page = tmp_path / "bench", tmp_path / "report.html"
    made = visard("bench", "main", out, "--kit", bench_kit, "--people", 2, "--arms", "none,0.1", *SMALL)
    assert made.exit_code == 0, made.output
    command = ("attack", out, "--kit", bench_kit, "--tier", "T0", "--dev", 2, "--workers", 1)
    assert visard(*command, "--arm", "none").exit_code == 0
    found = visard(*command, "--arm", "0.1", "--report", page, "--json")
    assert found.exit_code == 0, found.output
    assert [each["arm"] for each in json.loads(found.stdout)["tiers"]] == ["0.1"]
    html = page.read_text()
    assert "of “0.1” are linked; undefended" in html.replace("</strong>", "")
    assert "<img" not in html
    many = visard(*command[:-3], 9999, "--arm", "none")
    assert many.exit_code == 2


def test_a_benchmark_of_a_folder_is_attacked_by_others_of_it(
    visard: Run, bench_kit: str, tmp_path: Path
) -> None:
    out, folk = tmp_path / "bench", write_folk(tmp_path / "folk")
    table = ("bench", "table4", out, "--data", folk, "--kit", bench_kit, "--people", 2)
    made = visard(*table, *SMALL)
    assert made.exit_code == 0, made.output
    command = ("attack", out, "--kit", bench_kit, "--tier", "T0", "--arm", "none", "--workers", 1)
    for options, said in (
        ((), "where it lies is not kept"),
        (("--data", folk), "Ask for at most 2 with --dev."),
    ):
        refused = visard(*command, *options)
        assert refused.exit_code == 2
        assert said in refused.stderr
    found = visard(*command, "--data", folk, "--dev", 2, "--json")
    assert found.exit_code == 0, found.output
    assert [each["people"] for each in json.loads(found.stdout)["tiers"]] == [2]
    assert sorted(each.name for each in (out / "attacker" / "people").iterdir()) == ["10", "9"]


def test_the_report_is_explained(visard: Run) -> None:
    words = " ".join(visard("attack", "--help").stdout.replace("│", " ").split())
    assert "visard attack bench/ --arm 0.1 --tier T3 --report report.html" in words
    assert "it holds figures and no pictures" in words

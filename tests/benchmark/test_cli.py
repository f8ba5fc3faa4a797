from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from support.bench import JOB, by_number, camera
from visard.benchmark import job, tables
from visard.benchmark.acceptance import Check, acceptance
from visard.benchmark.measures import Measures
from visard.benchmark.people import world_people
from visard.benchmark.protocol import Protocol, Unit
from visard.benchmark.summary import Summary
from visard.cli.main import app
from visard.world import sampling

SMALL = [
    "--people",
    "1",
    "--arms",
    "none",
    "--pictures",
    "1",
    "--strangers",
    "2",
    "--steps",
    "1",
    "--workers",
    "1",
]


def test_main_report_and_figure(kit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "pictures", by_number)
    out, runner = tmp_path / "bench", CliRunner()
    page = tmp_path / "page.md"
    page.write_text("<!-- bench main -->\n<!-- /bench main -->\n")
    command = ["bench", "main", str(out), "--kit", kit, *SMALL]
    ran = runner.invoke(app, [*command, "--set", "decoupling.t_max=300", "--json"])
    assert ran.exit_code == 0, ran.output
    tree = json.loads(ran.stdout)
    assert tree["protocol"]["settings"]["decoupling"]["t_max"] == 300
    assert {row["arm"] for row in tree["rows"]} == {"none"}
    (out / "table.md").unlink()
    again = runner.invoke(app, ["bench", "main", str(out), "--report-only", "--into", str(page)])
    assert again.exit_code == 0, again.output
    assert "not measured" in again.stdout
    assert (out / "table.md").read_text().strip() in page.read_text()
    assert "units are left" in again.stderr
    drawn = runner.invoke(app, ["bench", "figure", str(out), "--arms", "none"])
    assert drawn.exit_code == 0, drawn.output
    assert (out / "person-0.png").is_file()
    other = runner.invoke(app, command)
    assert other.exit_code == 2
    assert "t_max" in other.stderr
    absent = runner.invoke(app, ["bench", "figure", str(out), "--person", "3"])
    assert absent.exit_code == 2


def test_the_tables_are_of_what_is_asked_for(
    kit: str, protocol: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People, arms and a seed beside those asked for change nothing in what is written."""
    monkeypatch.setattr(sampling, "pictures", by_number)
    out, (first, second) = tmp_path / "bench", world_people("test", 2)
    asked = replace(JOB, people=(first,))
    job.run(asked, protocol, out, kit=kit, camera=camera)
    names = ("table.md", "table.csv", "table.json")
    tables.write_tables(out, *judged(out), protocol)
    alone = {name: (out / name).read_bytes() for name in names}

    def report(*options: str) -> Result:
        command = ["bench", "main", str(out), "--report-only", "--people", "1", "--arms", "none,0.1"]
        return CliRunner().invoke(app, [*command, *options])

    told = report()
    assert told.exit_code == 0, told.output
    assert "units are left" not in told.stderr
    assert {name: (out / name).read_bytes() for name in names} == alone

    others = (
        replace(asked, people=(second,)),
        replace(asked, arms=("0.3",)),
        replace(asked, arms=("none",), seeds=(1,)),
    )
    for other in others:
        job.run(other, protocol, out, kit=kit, camera=camera)
    page = tmp_path / "page.md"
    page.write_text("<!-- bench main -->\n<!-- /bench main -->\n")
    assert report("--into", str(page)).stdout == told.stdout
    assert {name: (out / name).read_bytes() for name in names} == alone
    assert "rho 0.3" not in page.read_text()

    both = report("--people", "2", "--arms", "none,0.1,0.3")
    assert "1 of 6 units are left" in both.stderr
    assert (out / "table.md").read_text().startswith("1 person")  # whom every arm has
    assert "rho 0.3" in (out / "table.md").read_text()
    later = report("--seed", "1", "--json")
    assert {row["arm"] for row in json.loads(later.stdout)["rows"]} == {"none"}
    never = report("--seed", "2")
    assert never.exit_code == 2
    assert "asked for" in never.stderr
    assert "--seed" in never.stderr


def judged(out: Path) -> tuple[Summary, list[Check]]:
    measured = Measures("ours", out, job.finished(out))
    return measured.summary, acceptance(measured)


def test_what_is_left_of_a_folders_tables_is_of_the_people_who_are_there(
    bench: Path, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody may have been left out; whoever is not photographed yet comes after them."""
    monkeypatch.setattr(Protocol, "of", lambda *_: replace(protocol, people="a folder"))
    seen: list[list[int]] = []

    def left(asked: job.Job, *_: object) -> list[Unit]:
        seen.append(list(asked.people))
        return asked.units

    monkeypatch.setattr(job, "left", left)
    (bench / "people" / ".9.0a1b2c3d.part").mkdir()
    for count, people in ((1, [7]), (4, [7, 8, 9, 10])):
        seen.clear()
        ran = CliRunner().invoke(app, ["bench", "tables", str(bench), "--people", str(count)])
        assert ran.exit_code == 0, ran.output
        assert seen
        assert all(each == people for each in seen)

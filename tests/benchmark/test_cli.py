from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from support.bench import by_number
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
    drawn = runner.invoke(app, ["bench", "figure", str(out), "--arms", "none"])
    assert drawn.exit_code == 0, drawn.output
    assert (out / "person-0.png").is_file()
    other = runner.invoke(app, command)
    assert other.exit_code == 2
    assert "t_max" in other.stderr
    absent = runner.invoke(app, ["bench", "figure", str(out), "--person", "3"])
    assert absent.exit_code == 2

"""`visard bench table1` and its like: slices, what is left, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

from support.bench import write_folk

Command = Callable[..., Result]
SMALL = ("--people", 1, "--pictures", 1, "--strangers", 2, "--steps", 1, "--workers", 1)


def test_a_table_slice_by_slice(visard: Command, bench_kit: str, tmp_path: Path) -> None:
    out = tmp_path / "bench"
    table4 = ("bench", "table4", out, "--kit", bench_kit, *SMALL)
    begun = visard(*table4, "--units", 1, "--json")
    assert begun.exit_code == 0, begun.output
    said = json.loads(begun.stdout)
    assert (said["units"], said["left"]) == (2, 1)
    assert said["core_hours"] > 0
    assert "1 of 2 units are left" in begun.stderr
    whole = visard(*table4)
    assert whole.exit_code == 0, whole.output
    assert "units are left" not in whole.stderr
    assert "| *Defense* | paper, CelebA-HQ, V1.5 | 0.77 |" in whole.stdout
    assert {file.suffix for file in (out / "tables").glob("table4.*")} == {
        ".md",
        ".csv",
        ".tex",
        ".svg",
        ".png",
    }
    # Table 2 asks for other prompts of the same models: they were drawn with the first.
    listed = visard("bench", "tables", out, "--people", 1, "--json")
    left = {row["table"]: row["left"] for row in json.loads(listed.stdout)["tables"]}
    assert (left["table4"], left["table2"], left["table9"]) == (0, 2, 1)
    again = visard("bench", "table9", out, "--kit", bench_kit, *SMALL, "--set", "decoupling.schedule=joint")
    assert again.exit_code == 2
    assert "decoupling.schedule" in again.stderr
    other = visard(*table4, "--set", "decoupling.tau=0.2")
    assert other.exit_code == 2
    assert "tau" in other.stderr

    protocol = json.loads((out / "bench.json").read_text(encoding="utf-8"))
    protocol["sampling"]["prompts"] = protocol["sampling"]["prompts"][:2]
    (out / "bench.json").write_text(json.dumps(protocol), encoding="utf-8")
    listed = visard("bench", "tables", out, "--people", 1, "--json")
    elsewhere = {row["table"] for row in json.loads(listed.stdout)["tables"] if "elsewhere" in row}
    assert elsewhere == {"table2"}


def test_every_table_is_listed(visard: Command) -> None:
    listed = visard("bench", "tables", "--people", 50)
    assert listed.exit_code == 0, listed.output
    assert "table1       450 units" in listed.stdout
    assert {f"table{number}" for number in range(1, 13)} <= set(listed.stdout.split())


def test_a_folder_of_too_few_people_is_refused(visard: Command, tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    refused = visard("bench", "table1", tmp_path / "bench", "--data", tmp_path / "people")
    assert refused.exit_code == 2
    assert "--identities" in refused.stderr


def test_a_device_that_is_not_there_is_refused(visard: Command, tmp_path: Path) -> None:
    world = ("world", "train", "irse", "--data", tmp_path, "--out", tmp_path / "out", "--steps", 1)
    for command in (("bench", "table1", tmp_path / "bench"), world):
        refused = visard(*command, "--device", "cuda:97")
        assert refused.exit_code == 2
        assert "no device cuda:97" in refused.stderr


def test_attackers_slice_by_slice(visard: Command, bench_kit: str, tmp_path: Path) -> None:
    out = tmp_path / "bench"
    arms = ("--arms", "none", "--kit", bench_kit)
    small = [*SMALL]
    small[small.index("--people") + 1] = 2
    made = visard("bench", "main", out, *arms, *small)
    assert made.exit_code == 0, made.output
    command = ("bench", "attackers", out, *arms, "--tier", "T0", "--dev", 2, "--workers", 1)
    begun = visard(*command, "--units", 2, "--json")
    assert begun.exit_code == 0, begun.output
    said = json.loads(begun.stdout)
    assert (said["units"], said["left"], said["arms"]) == (3, 1, {})
    assert "1 of 3 units are left" in begun.stderr
    whole = visard(*command)
    assert whole.exit_code == 0, whole.output
    assert "units are left" not in whole.stderr
    assert "| none |" in whole.stdout
    listed = json.loads(visard(*command, "--report-only", "--json").stdout)
    assert (listed["left"], [each["tier"] for each in listed["arms"]["none"]["tiers"]]) == (0, ["T0"])
    assert {file.suffix for file in (out / "tables").glob("attackers.*")} == {".md", ".csv", ".tex"}
    wrong = visard("bench", "attackers", out, "--tier", "T6")
    assert wrong.exit_code == 2
    strange = visard(*command, "--data", tmp_path)
    assert strange.exit_code == 2
    assert "Leave out --data" in strange.stderr


def test_attackers_of_people_from_a_folder(visard: Command, bench_kit: str, tmp_path: Path) -> None:
    """Of 34 people: those under attack, the attacker's and the strangers are of a split each."""
    out, folk = tmp_path / "bench", write_folk(tmp_path / "folk")
    small = [*SMALL]
    small[small.index("--people") + 1] = 2
    made = visard("bench", "table4", out, "--data", folk, "--kit", bench_kit, *small)
    assert made.exit_code == 0, made.output
    reported = visard("bench", "main", out, "--report-only", "--people", 1, "--arms", "none")
    assert reported.exit_code == 0, reported.output
    assert (out / "table.md").read_text().startswith("1 person")

    table = visard("bench", "table4", out, "--kit", bench_kit, "--people", 2, "--report-only", "--json")
    assert (json.loads(table.stdout)["units"], json.loads(table.stdout)["left"]) == (4, 0)

    command = ("bench", "attackers", out, "--arms", "none", "--kit", bench_kit, "--workers", 1)
    for options, said in (
        ((), "--data"),
        (("--data", tmp_path / "bench-kit"), "Nobody in"),
        (("--data", folk), "Ask for at most 2 with --dev."),
        (("--data", folk, "--dev", 2), "Ask for at most 4 with --train."),
    ):
        refused = visard(*command, *options)
        assert refused.exit_code == 2
        assert said in refused.stderr
    assert not (out / "attacker").exists()
    low = visard(*command, "--data", folk, "--dev", 2, "--tier", "T3", "--units", 0, "--json")
    assert json.loads(low.stdout)["left"] == 3, low.stderr  # nobody is learnt from below T4

    whole = visard(*command, "--data", folk, "--dev", 2, "--train", 3, "--json")
    assert whole.exit_code == 0, whole.output
    tiers = json.loads(whole.stdout)["arms"]["none"]["tiers"]
    assert [(each["tier"], each["people"], each["gallery"]) for each in tiers] == [
        (f"T{number}", 2, 4) for number in range(5)
    ]
    under, own, strangers = (
        sorted(int(each.name) for each in (out / part).iterdir())
        for part in ("people", "attacker/people", "strangers")
    )
    assert (under, own, strangers) == ([0, 1], [9, 10, 11, 12, 13], [15, 16])
    assert sorted(int(each.name) for each in (out / "attacker" / "strangers").iterdir()) == strangers
    written = [file for file in out.rglob("*") if file.suffix in (".json", ".toml", ".md", ".csv", ".tex")]
    assert not any(str(folk) in file.read_text() for file in written)

    again = visard(*command, "--data", folk, "--dev", 2, "--train", 3, "--report-only", "--json")
    assert json.loads(again.stdout)["left"] == 0
    (folk / "n000" / "16.png").write_bytes((folk / "n000" / "00.png").read_bytes())
    other = visard(*command, "--data", folk, "--dev", 2, "--train", 3)
    assert other.exit_code == 2
    assert "is not what" in other.stderr


def test_figures_are_packed_and_go_on_elsewhere(visard: Command, bench_kit: str, tmp_path: Path) -> None:
    out, archives, elsewhere = tmp_path / "bench", tmp_path / "results", tmp_path / "elsewhere"
    table4 = ("--kit", bench_kit, *SMALL)
    begun = visard("bench", "table4", out, *table4, "--units", 1)
    assert begun.exit_code == 0, begun.output
    packed = visard("bench", "pack", out, "--to", archives, "--kit", bench_kit, "--json")
    assert packed.exit_code == 0, packed.output
    assert json.loads(packed.stdout)["archives"] == ["none.zip", "people.zip"]
    again = visard("bench", "pack", out, "--to", archives, "--kit", bench_kit)
    assert "has it all" in again.stdout
    unpacked = visard("bench", "unpack", archives, "--to", elsewhere)
    assert unpacked.exit_code == 0, unpacked.output
    assert "1 units are in" in unpacked.stdout
    goes_on = visard("bench", "table4", elsewhere, *table4, "--units", 1, "--json")
    assert goes_on.exit_code == 0, goes_on.output
    assert json.loads(goes_on.stdout)["left"] == 0
    assert visard("bench", "unpack", tmp_path, "--to", elsewhere).exit_code == 2

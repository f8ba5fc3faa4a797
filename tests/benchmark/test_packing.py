"""Packed units give the same tables elsewhere, go on there, and are of people who do not exist."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest

from support.bench import JOB, camera
from support.kits import recognizer_row
from visard.benchmark import gallery, job, layout, packing
from visard.benchmark.attack import Attackers, Campaign
from visard.benchmark.features import FEATURES_FILE
from visard.benchmark.figure import person_figure
from visard.benchmark.measures import Measures
from visard.benchmark.packing import Unpacked
from visard.benchmark.protocol import PROMPTS, PROTOCOL_FILE, Protocol
from visard.benchmark.summary import of_prompts
from visard.benchmark.table import D_SYS, FID, ISM, KID, Table, over, rows
from visard.errors import InputError, TrainingError
from visard.kits import Kit, open_kit

TABLE = Table(
    "figures",
    "What takes pictures, and what takes similarities.",
    rows((("no defence", "none"), ("defence", "0.1"))),
    columns=over(PROMPTS, {"ISM": ISM, "FID": FID, "KID": KID, "D_sys": D_SYS}),
)
"""Of arms that the finished benchmark has."""


def with_network(kit: str, weights: str) -> Kit:
    """The same kit with a network for FID."""
    file = Path(kit).with_name(f"with-{weights}.toml")
    network = recognizer_row("eyes", "", f"{weights}.safetensors").replace("[[recognizers]]", "[features]")
    plain = "".join(line for line in network.splitlines(True) if not line.startswith(("role", "family")))
    file.write_text(Path(kit).read_text(encoding="utf-8") + plain, encoding="utf-8")
    return open_kit(str(file))


@pytest.fixture
def opened(kit: str) -> Kit:
    return with_network(kit, "a")


@pytest.fixture
def packed(bench: Path, opened: Kit, tmp_path: Path) -> Path:
    """The archives of the finished benchmark."""
    folder = tmp_path / "results"
    written = packing.pack(bench, folder, opened)
    assert [file.name for file in written] == ["0.1.zip", "none.zip", "people.zip"]
    return folder


def table(out: Path, kit: Kit) -> str:
    return layout.as_csv(TABLE, [Measures("ours", out, of_prompts(job.finished(out), TABLE.prompts), kit)])


def test_tables_are_the_same_without_a_single_picture(
    bench: Path, packed: Path, opened: Kit, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    assert packing.unpack(packed, elsewhere) == Unpacked(new=4, known=0)
    assert not list(elsewhere.rglob("*.png"))
    printed = table(elsewhere, opened)
    assert printed == table(bench, opened)
    assert {line.split(",")[7] for line in printed.splitlines()[1:]} == {"ISM", "FID", "KID", "D_sys"}
    assert packing.unpack(packed, elsewhere) == Unpacked(new=0, known=4)


def test_what_is_packed_are_figures(packed: Path) -> None:
    for archive in packed.glob("*.zip"):
        with ZipFile(archive) as file:
            assert {Path(name).name for name in file.namelist()} <= set(packing.PACKED)
            assert str(packed.parent).encode() not in b"".join(map(file.read, file.namelist()))


def test_the_same_units_make_the_same_bytes(bench: Path, packed: Path, opened: Kit, tmp_path: Path) -> None:
    again = tmp_path / "again"
    packing.pack(bench, again, opened)
    for file in packed.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes()
    assert packing.pack(bench, packed, opened) == []


def test_what_was_unpacked_is_not_done_again_and_more_people_come(
    packed: Path, protocol: Protocol, kit: str, opened: Kit, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    packing.unpack(packed, elsewhere)
    more = replace(JOB, people=(7, 8, 9), arms=("none",))
    assert [unit.person for unit in job.left(more, protocol, elsewhere)] == [9]
    job.run(more, protocol, elsewhere, kit=kit, camera=camera)
    assert not (elsewhere / "units" / "person-7" / "none" / "seed-0" / "pictures").exists()
    assert [file.name for file in packing.pack(elsewhere, packed, opened)] == ["none.zip", "people.zip"]
    assert packing.unpack(packed, tmp_path / "third") == Unpacked(new=5, known=0)
    assert table(tmp_path / "third", opened) == table(elsewhere, opened)


def test_an_archive_keeps_what_this_machine_has_not(
    bench: Path, packed: Path, opened: Kit, tmp_path: Path
) -> None:
    shutil.rmtree(bench / "units" / "person-7")
    assert packing.pack(bench, packed, opened) == []
    assert packing.unpack(packed, tmp_path / "elsewhere", ["none"]) == Unpacked(new=2, known=0)


def test_what_takes_pictures_says_that_they_are_not_there(packed: Path, kit: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    packing.unpack(packed, elsewhere)
    results = job.finished(elsewhere)
    assert gallery.draw(TABLE, results, elsewhere) is None
    with pytest.raises(InputError, match="without its pictures"):
        person_figure(results, elsewhere, 7, ["none"], PROMPTS[0])
    campaign = Campaign(
        out=elsewhere, arms=["none"], attackers=Attackers(dev=(30, 31), train=()), tiers=["T0"], kit=kit
    )
    with pytest.raises(InputError, match="without its pictures"):
        campaign.run(camera=camera)
    covered = replace(JOB, arms=("pixelate-8",))
    with pytest.raises(TrainingError, match="without its pictures"):
        job.run(covered, Protocol.of(elsewhere), elsewhere, kit=kit, camera=camera)


def test_features_of_another_network_are_not_taken_for_the_kits(
    packed: Path, kit: str, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    packing.unpack(packed, elsewhere)
    with pytest.raises(InputError, match="another network"):
        table(elsewhere, with_network(kit, "b"))
    for file in elsewhere.rglob(FEATURES_FILE):
        file.unlink()
    with pytest.raises(InputError, match="neither pictures nor their features"):
        table(elsewhere, with_network(kit, "a"))


def test_real_people_are_not_packed(bench: Path, opened: Kit, tmp_path: Path) -> None:
    there = json.loads((bench / PROTOCOL_FILE).read_text(encoding="utf-8"))
    (bench / PROTOCOL_FILE).write_text(json.dumps(there | {"people": "a digest"}), encoding="utf-8")
    with pytest.raises(InputError, match="people of a folder"):
        packing.pack(bench, tmp_path / "results", opened)
    assert not (tmp_path / "results").exists()


def test_another_benchmark_or_arm_and_a_broken_archive_are_refused(
    bench: Path, packed: Path, opened: Kit, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="No unit of the arm simac"):
        packing.pack(bench, packed, opened, ["simac"])
    with pytest.raises(InputError, match=r"no simac\.zip"):
        packing.unpack(packed, tmp_path / "elsewhere", ["simac"])
    with pytest.raises(InputError, match="no benchmark"):
        packing.unpack(tmp_path, tmp_path / "elsewhere")
    (packed / "none.zip").write_bytes((packed / "none.zip").read_bytes()[:-40])
    with pytest.raises(InputError, match="not a whole archive"):
        packing.unpack(packed, tmp_path / "elsewhere")
    there = json.loads((packed / PROTOCOL_FILE).read_text(encoding="utf-8"))
    there["sampling"]["pictures"] = 3
    (packed / PROTOCOL_FILE).write_text(json.dumps(there), encoding="utf-8")
    with pytest.raises(InputError, match="another kind"):
        packing.pack(bench, packed, opened)


def test_entries_with_other_names_are_left_in_the_archive(packed: Path, tmp_path: Path) -> None:
    with ZipFile(packed / "none.zip", "a") as file:
        file.writestr("../../../outside.txt", "no")
        file.writestr("person-7/seed-0/run.toml", "no")
    elsewhere = tmp_path / "elsewhere"
    packing.unpack(packed, elsewhere)
    assert not list(tmp_path.rglob("outside.txt"))
    assert {file.name for file in elsewhere.rglob("seed-0/*")} == set(packing.PACKED)


def test_the_published_units_are_still_finished(tmp_path: Path) -> None:
    """Whoever changes what a unit's key is made of, or the world's models, has them made anew."""
    published = Path(__file__).parents[2] / "docs" / "results"
    found = packing.unpack(published, tmp_path / "bench")
    assert found.new == len(job.finished(tmp_path / "bench")) >= 60
    Protocol.of(published).require(open_kit("world"))

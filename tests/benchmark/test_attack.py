"""A benchmark attacked from end to end: models of the attacker's own people, tiers, results on disk."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.bench import JOB, camera
from visard import api
from visard.attacks import TIERS, AttackSettings, AttackTier
from visard.attacks.inputs import EVERYTHING
from visard.benchmark import attack, attackers, job, leaks
from visard.benchmark import protocol as protocol_module
from visard.benchmark.attack_report import audit_campaign
from visard.benchmark.catalogue import CATALOGUE, arms_of
from visard.benchmark.protocol import Protocol, Unit
from visard.benchmark.unit import UnitJob
from visard.errors import BusyError, InputError, TrainingError
from visard.personalization import personalize
from visard.pool import Failures, Start, Watch
from visard.storage import claimed

SETTINGS = AttackSettings(draws=20, pictures_out=(1, 2), tuning_steps=2, folds=2)
ATTACKERS = attack.Attackers(dev=(30, 31), train=(40, 41, 42), leaked=1, workers=1)
ARMS = ("none", "0.1")


def campaign(bench: Path, kit: str, tiers: tuple[str, ...], *arms: str, **changes: Any) -> attack.Campaign:
    """Asked anew each time, as a command is."""
    own = replace(ATTACKERS, **changes)
    return attack.Campaign(
        out=bench, arms=arms or ("none",), attackers=own, tiers=tiers, kit=kit, settings=SETTINGS
    )


def run(bench: Path, kit: str, tiers: tuple[str, ...], **changes: Any) -> list[AttackTier]:
    asked = campaign(bench, kit, tiers, **changes)
    asked.run(camera=camera)
    return asked.found()["none"]


def never(*_: Any, **__: Any) -> None:
    raise AssertionError("this was done already")


def test_all_tiers_then_again_without_any_training(
    protocol: Protocol, kit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "bench"
    job.run(replace(JOB, arms=("none",), keep_models=True), protocol, out, kit=kit, camera=camera)
    found = run(out, kit, TIERS)
    assert [each.tier for each in found] == list(TIERS)
    assert {(each.people, each.gallery, each.arm) for each in found} == {(2, 5, "none")}
    sources = ("leaked pictures", f"{EVERYTHING} pictures")
    assert all(any(f"; {source}" in tried.attack for tried in found[-1].tried) for source in sources)

    file = campaign(out, kit, TIERS).file("none")
    stored = file.read_text()
    assert [each["tier"] for each in json.loads(stored)["tiers"]] == list(TIERS)
    assert str(tmp_path) not in stored
    assert "person" not in stored.replace("people", "").replace("a person", "").replace("the person", "")

    own = out / attack.ATTACKER
    assert {unit.unit.person for unit in job.finished(own)} == {30, 31, 40, 41, 42}
    assert not any(own.glob("units/*/*/*/run/model"))
    assert any(out.glob("units/*/*/*/run/model"))  # the benchmark's own were asked to be kept
    assert {unit.unit.person for unit in job.finished(out)} == {7, 8}

    monkeypatch.setattr(personalize, "run", never)
    monkeypatch.setattr(leaks, "generate", never)
    file.unlink()
    assert run(out, kit, TIERS) == found
    assert file.read_text() == stored
    monkeypatch.setattr(attack, "attack", never)
    assert run(out, kit, TIERS) == found


def test_what_stands_in_the_way_is_said(bench: Path, kit: str) -> None:
    with pytest.raises(InputError, match=r"No unit of the arm 0\.3"):
        campaign(bench, kit, ("T0",), "0.3").run(camera=camera)
    with pytest.raises(InputError, match="among those under attack"):
        run(bench, kit, ("T0",), dev=(7, 30))
    with pytest.raises(InputError, match="--keep-models"):
        run(bench, kit, TIERS)
    assert Unit(7, "none", 0).folder(bench).is_dir()
    with pytest.raises(InputError, match="no benchmark"):
        run(bench / "elsewhere", kit, ("T0",))


def test_arms_that_train_nothing_are_attacked_by_whose_model_drew_them(
    protocol: Protocol, kit: str, tmp_path: Path
) -> None:
    out, arms = tmp_path / "bench", ("strangers", "pixelate-8", "attributes")
    job.run(replace(JOB, arms=("none", *arms), keep_models=True), protocol, out, kit=kit, camera=camera)
    asked = campaign(out, kit, TIERS, *arms)
    asked.run(camera=camera)
    found = asked.found()
    assert [each.tier for each in found["strangers"]] == [each.tier for each in found["pixelate-8"]]
    assert [each.tier for each in found["pixelate-8"]] == list(TIERS)
    assert [each.tier for each in found["attributes"]] == [tier for tier in TIERS if tier != "T5"]
    assert {leak.unit.arm for leak in asked.leaks} == {"none"}
    assert len(asked.leaks) == 7
    # Behind a stranger's picture is a stranger's model, and pixels hide nothing from who has the model.
    assert UnitJob(Unit(8, "strangers", 0), protocol, out).drawn_by == Unit(7, "none", 0)
    assert UnitJob(Unit(8, "pixelate-8", 0), protocol, out).drawn_by == Unit(8, "none", 0)
    assert len(asked.left()) == 0


def test_every_arm_of_a_table_is_known_to_an_attacker() -> None:
    every = {arm for table in CATALOGUE.values() for arm in arms_of(table)}
    known = {arm: attack.known_by(arm) for arm in (*every, "strangers-simac", "half", "simac+full@7.5")}
    exchanged = {arm: of for arm, of in known.items() if arm != of}
    assert all(arm in ("strangers", f"strangers-{of}") for arm, of in exchanged.items())
    assert exchanged["strangers-simac"] == "simac"
    assert attack.known_by("strangers") == "none"


def test_slice_by_slice_comes_to_what_the_whole_does(bench: Path, kit: str) -> None:
    """Two arms up to T1: models of two development people each, then an attack each."""
    asked = campaign(bench, kit, TIERS[:2], *ARMS)
    assert asked.size == 6
    assert [len(part) for part in (asked.left().models, asked.left().leaks, asked.left().arms)] == [4, 0, 2]
    assert "No attack is finished" in attackers.markdown(asked.found())
    said: list[tuple[str, int, int]] = []

    def note(stage: str, done: int, total: int, **_: float) -> None:
        said.append((stage, done, total))

    for part, left in (
        (job.Slice(minutes=0), 6),
        (job.Slice(units=3), 3),
        (job.Slice(units=2), 1),
        (job.Slice(units=0), 1),
        (job.Slice(), 0),
    ):
        campaign(bench, kit, TIERS[:2], *ARMS).run(camera=camera, part=part, progress=note)
        assert len(campaign(bench, kit, TIERS[:2], *ARMS).left()) == left
        assert (("units", 4, 4) in said) == (left <= len(ARMS))
    found = campaign(bench, kit, TIERS[:2], *ARMS).found()
    assert list(found) == ["none", "0.1"]
    assert found["none"] == run(bench, kit, TIERS[:2])
    table = attackers.markdown(found)
    assert "| arm | T0 | T1 |" in table
    assert "| 0.1 |" in table
    # Whoever asks something else is not given this.
    assert len(campaign(bench, kit, TIERS[:1], *ARMS).left()) == 2
    assert replace(asked, settings=replace(SETTINGS, seed=1)).found() == {}
    assert replace(asked, attackers=replace(ATTACKERS, dev=(30, 32))).found() == {}


def test_no_attack_is_said_to_be_done_that_the_time_left_undone(bench: Path, kit: str) -> None:
    asked, said = campaign(bench, kit, TIERS[:1], *ARMS), list[str]()
    asked.run(camera=camera, part=job.Slice(units=4))
    asked.run(camera=camera, part=job.Slice(minutes=0), progress=lambda stage, *_, **__: said.append(stage))
    assert asked.left().arms == list(ARMS)
    assert "attacks" not in said


def test_attacks_of_other_seeds_and_tiers_lie_side_by_side(bench: Path, kit: str, protocol: Protocol) -> None:
    job.run(replace(JOB, arms=("none",), seeds=(1,)), protocol, bench, kit=kit, camera=camera)
    first = campaign(bench, kit, TIERS[:1])
    second = replace(first, seed=1, settings=replace(SETTINGS, seed=1))
    further = campaign(bench, kit, TIERS[:2])
    for asked in (first, second, further):
        asked.run(camera=camera)
    for asked in (first, second, further):
        assert list(asked.found()) == ["none"]
        assert asked.file("none").is_file()
    assert second.key("none") != first.key("none")


def test_what_was_found_of_other_units_or_with_other_eyes_is_not_kept(
    bench: Path, kit: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = {campaign(bench, kit, TIERS[:1]).key("none")}
    home = Path(shutil.copytree(Path(kit).parent, tmp_path / "kit")) / Path(kit).name
    home.write_text(home.read_text().replace("sizes = [64]", "sizes = [96]"))
    keys.add(campaign(bench, str(home), TIERS[:1]).key("none"))
    asked = campaign(bench, kit, TIERS[:1])
    assert asked.subjects["none"]  # read while they were what they say
    monkeypatch.setattr(protocol_module, "RULES", protocol_module.RULES + 1)
    keys.add(asked.key("none"))
    assert len(keys) == 3


def test_a_campaign_is_found_from_any_folder(bench: Path, kit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bench.parent)
    asked, _, _ = attack.prepare(
        Path(bench.name),
        "none",
        "T0",
        {"dev": 2, "train": 3, "leaked": 1, "workers": 1},
        kit=os.path.relpath(kit),
    )
    assert (asked.out, asked.kit) == (bench.resolve(), str(Path(kit).resolve()))


def test_what_a_worker_starts_with_can_be_sent_to_it(bench: Path, kit: str) -> None:
    asked = campaign(bench, kit, TIERS, *ARMS)
    assert len(asked.left()) == asked.size  # it has read the folder
    (received,) = pickle.loads(pickle.dumps(partial(attack.Assault, asked, None))).args[:1]
    assert received == asked
    assert received.key("0.1") == asked.key("0.1")
    taps = leaks.Taps(bench, kit, 1)
    assert taps.files(pickle.loads(pickle.dumps(asked.leaks[-1]))) == taps.files(asked.leaks[-1])


def test_every_kind_of_work_goes_to_the_executor(
    protocol: Protocol, kit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models, what leaked ones draw, and attacks; after a stop, only what is left."""
    out, given = tmp_path / "bench", list[Any]()
    job.run(replace(JOB, arms=("none",), keep_models=True), protocol, out, kit=kit, camera=camera)

    def execute(units: Sequence[Any], start: Start[Any], watch: Watch[Any]) -> Failures[Any]:
        given.extend(units)
        return job.processes(units, start, watch, workers=1)

    asked = campaign(out, kit, TIERS)
    asked.run(camera=camera, execute=execute, part=job.Slice(units=9))
    assert [type(each) for each in given] == [Unit] * 5 + [leaks.Leak] * 4
    left = asked.left()
    assert (len(left.models), len(left.leaks), left.arms) == (0, 3, ["none"])
    asked.run(camera=camera, execute=execute)
    assert given[9:] == [*left.leaks, "none"]
    assert len(asked.left()) == 0
    assert not any(asked.own.glob("units/*/*/*/run/model"))

    for folder in asked.own.glob("units/person-40/*/*/leaked"):
        shutil.rmtree(folder)
    with pytest.raises(InputError, match="person 40 is gone") as caught:
        asked.run(camera=camera)
    assert "train it again" in caught.value.advice


def test_models_that_another_command_is_at_are_waited_for(
    bench: Path, kit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = campaign(bench, kit, TIERS[:1])
    monkeypatch.setattr("visard.api.attacking.prepare", lambda *_, **__: (asked, camera, []))
    held = Unit(30, "none", 0)
    with (
        claimed(held.folder(bench / attack.ATTACKER)),
        pytest.raises(BusyError, match="2 of 3 units are left: another command") as caught,
    ):
        api.attack(bench, kit=kit)
    assert "same command" in caught.value.advice


def test_an_attack_that_fails_is_said_after_the_others(
    bench: Path, kit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = attack.attack

    def failing(*given: Any, arm: str, **options: Any) -> list[AttackTier]:
        if arm == "none":
            raise InputError("a bad day", "try tomorrow")
        return whole(*given, arm=arm, **options)

    with monkeypatch.context() as patch:
        patch.setattr(attack, "attack", failing)
        with pytest.raises(TrainingError, match="a bad day"):
            campaign(bench, kit, TIERS[:1], *ARMS).run(camera=camera)
    assert campaign(bench, kit, TIERS[:1], *ARMS).left().arms == ["none"]


def test_an_audit_of_the_people_under_attack_speaks_of_the_tiers(bench: Path, kit: str) -> None:
    asked = campaign(bench, kit, TIERS[:1], "0.1")
    asked.run(camera=camera)
    alone = audit_campaign(asked)
    assert {arm.arm for arm in alone.arms} == {"none", "0.1"}  # the undefended one is finished
    assert [(row.arm, row.tier) for row in alone.tiers] == [("0.1", "T0")]
    assert "T0 (one picture" in alone.claims[0]
    assert "of “0.1” are linked." in alone.claims[0]
    assert (alone.people, alone.gallery) == (2, 5)

    run(bench, kit, TIERS[:1])
    both = audit_campaign(asked)
    assert [row.arm for row in both.tiers] == ["none", "0.1"]
    assert "of “0.1” are linked; undefended" in both.claims[0]
    assert both.arms == alone.arms

    shutil.rmtree(Unit(7, "none", 0).folder(bench))
    lacking = audit_campaign(campaign(bench, kit, TIERS[:1], "0.1"))
    assert {arm.arm for arm in lacking.arms} == {"0.1"}
    assert lacking.people == 2
    with pytest.raises(InputError, match="Nobody"):
        audit_campaign(campaign(bench, kit, TIERS[:1], "0.1", "0.3"))


def test_what_a_killed_command_left_half_photographed_is_no_stranger(bench: Path, kit: str) -> None:
    whole = campaign(bench, kit, TIERS[:1])
    before = whole.training.strangers
    (bench / "strangers" / ".20.0a1b2c3d.part").mkdir()
    (bench / "strangers" / "notes.txt").write_text("mine")
    assert campaign(bench, kit, TIERS[:1]).training.strangers == before == [20, 21, 22]

"""A benchmark attacked from end to end: models of the attacker's own people, tiers, results on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.bench import JOB, camera
from visard.attacks import TIERS, AttackSettings, AttackTier
from visard.benchmark import attack, job
from visard.benchmark.protocol import Protocol, Unit
from visard.errors import InputError
from visard.personalization import personalize

SETTINGS = AttackSettings(draws=20, pictures_out=(1, 2), tuning_steps=2, folds=2)
ATTACKERS = attack.Attackers(dev=(30, 31), train=(40, 41, 42), leaked=1, workers=1)


def run(bench: Path, kit: str, tiers: tuple[str, ...], **changes: Any) -> list[AttackTier]:
    attackers = replace(ATTACKERS, **changes)
    return attack.attack_benchmark(
        bench, "none", attackers, tiers=tiers, kit=kit, settings=SETTINGS, camera=camera
    )


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
    assert any("leaked" in tried.attack for tried in found[-1].tried)

    stored = attack.attack_file(out, "none").read_text()
    assert [each["tier"] for each in json.loads(stored)["tiers"]] == list(TIERS)
    assert str(tmp_path) not in stored
    assert "person" not in stored.replace("people", "").replace("a person", "")

    own = out / attack.ATTACKER
    assert {unit.unit.person for unit in job.finished(own)} == {30, 31, 40, 41, 42}
    assert not any(own.glob("units/*/*/*/run/model"))
    assert any(out.glob("units/*/*/*/run/model"))  # the benchmark's own were asked to be kept
    assert {unit.unit.person for unit in job.finished(out)} == {7, 8}

    monkeypatch.setattr(personalize, "run", never)
    monkeypatch.setattr(attack, "generate", never)
    assert run(out, kit, TIERS) == found


def test_what_stands_in_the_way_is_said(bench: Path, kit: str) -> None:
    with pytest.raises(InputError, match=r"No unit of the arm 0\.3"):
        attack.attack_benchmark(bench, "0.3", ATTACKERS, tiers=("T0",), kit=kit, camera=camera)
    with pytest.raises(InputError, match="among those under attack"):
        run(bench, kit, ("T0",), dev=(7, 30))
    with pytest.raises(InputError, match="--keep-models"):
        run(bench, kit, TIERS)
    assert Unit(7, "none", 0).folder(bench).is_dir()
    with pytest.raises(InputError, match="no benchmark"):
        run(bench / "elsewhere", kit, ("T0",))

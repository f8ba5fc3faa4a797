"""Attacks on disk: the same when read, and nobody else's."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from support.attacks import toy
from visard.attacks import AttackSettings, AttackTier, Embeddings, attack
from visard.attacks.result import Tried
from visard.attacks.stored import keep, kept

SETTINGS = AttackSettings(draws=20, pictures_out=(1, 2), folds=2)


@pytest.fixture(scope="module")
def found() -> list[AttackTier]:
    given = toy(lambda rows, _: rows, people=3, pictures=2)
    return attack(
        given.subjects, given.gallery, given.knowledge, Embeddings(), settings=SETTINGS, tiers=("T0", "T4")
    )


def test_what_is_kept_is_read_as_it_was(found: list[AttackTier], tmp_path: Path) -> None:
    file = tmp_path / "attack.json"
    keep(file, found, "a key")
    assert kept(file, "a key") == found
    assert kept(file, "another key") is None
    assert json.loads(file.read_text())["tiers"][0]["claim"] == found[0].claim


def test_figures_that_do_not_exist_come_back(found: list[AttackTier], tmp_path: Path) -> None:
    file = tmp_path / "attack.json"
    blind = replace(found[0], control=None, false_positives=None, tried=[Tried("blind", 0.0, math.nan)])
    keep(file, [blind], "a key")
    (again,) = kept(file, "a key") or []
    assert again.control is None
    assert again.false_positives is None
    assert math.isnan(again.tried[0].decidability)
    assert replace(again, tried=[]) == replace(blind, tried=[])


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": "a key"}', '{"key": "a key", "tiers": [{}]}'])
def test_what_is_not_whole_is_not_there(tmp_path: Path, content: str) -> None:
    file = tmp_path / "attack.json"
    assert kept(file, "a key") is None
    file.write_text(content)
    assert kept(file, "a key") is None

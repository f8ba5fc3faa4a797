"""Attacks on synthetic embeddings whose answer is known."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from support.attacks import DIMENSION, Toy, rotation, toy
from visard.attacks import TIERS, AttackSettings, AttackTier, Embeddings, Knowledge, attack
from visard.errors import InputError

UP_TO_T4 = TIERS[:5]


def run(toy: Toy, settings: AttackSettings, tiers: tuple[str, ...] = UP_TO_T4) -> dict[str, AttackTier]:
    found = attack(toy.subjects, toy.gallery, toy.knowledge, Embeddings(), tiers=tiers, settings=settings)
    return {each.tier: each for each in found}


def undefended(rows: Tensor, _: torch.Generator) -> Tensor:
    return rows


def rotated(rows: Tensor, _: torch.Generator) -> Tensor:
    return rows @ rotation()


def shifted(rows: Tensor, _: torch.Generator) -> Tensor:
    """A constant stronger than the person: everybody looks alike."""
    constant = F.normalize(torch.randn(DIMENSION, generator=torch.Generator().manual_seed(3)), dim=0)
    return F.normalize(rows + 8 * constant, dim=1)


def pure_noise(rows: Tensor, generator: torch.Generator) -> Tensor:
    return F.normalize(torch.randn(rows.shape, generator=generator), dim=1)


def drowned(rows: Tensor, generator: torch.Generator) -> Tensor:
    """The person in noise that several pictures average out."""
    return F.normalize(rows + 0.45 * torch.randn(rows.shape, generator=generator), dim=1)


def test_without_a_defence_one_picture_is_enough(settings: AttackSettings) -> None:
    found = run(toy(undefended), settings, ("T0",))["T0"]
    assert found.linked.value > 0.95
    assert found.matched.value > 0.95
    assert found.linked.low == pytest.approx(1 - 3 / 12)  # rule of three: all of 12
    assert (found.people, found.count, found.gallery, found.k) == (12, 12, 52, 1)
    assert found.searches == 20 * 8


def test_a_rotation_is_undone_by_the_informed_attacker_alone(settings: AttackSettings) -> None:
    found = run(toy(rotated), settings)
    for tier in ("T0", "T1", "T2"):
        assert found[tier].linked.value < 0.1
    assert found["T4"].linked.value > 0.95
    assert "map" in found["T4"].attack


def test_a_constant_is_undone_by_the_informed_attacker(settings: AttackSettings) -> None:
    found = run(toy(shifted), settings)
    assert found["T0"].linked.value < 0.1
    assert found["T4"].linked.value > 0.95


def test_noise_is_averaged_out_by_looking_at_more_pictures(settings: AttackSettings) -> None:
    found = run(toy(drowned), settings)
    assert found["T3"].k == 8
    assert found["T3"].linked.value > found["T2"].linked.value + 0.2
    assert [each.k for each in found["T3"].together] == [1, 4, 8]
    shares = [each.linked.value for each in found["T3"].together]
    assert shares == sorted(shares)
    assert shares[0] == found["T2"].linked.value


@pytest.mark.parametrize("seed", [0, 1])
def test_from_noise_no_tier_learns_anything(settings: AttackSettings, seed: int) -> None:
    for found in run(toy(pure_noise, pure_noise, seed=seed), settings, TIERS).values():
        assert found.linked.value <= 0.1
        assert found.linked.low <= settings.fpir
        assert found.matched.value < 0.1


def test_the_model_file_gives_away_what_the_pictures_do_not(settings: AttackSettings) -> None:
    found = run(toy(pure_noise, drowned), settings, ("T4", "T5"))
    assert found["T4"].linked.value <= 0.1
    assert found["T5"].linked.value > 0.8
    assert "leaked pictures" in found["T5"].attack


@pytest.mark.parametrize("defence", [undefended, rotated, shifted, drowned])
def test_other_peoples_pictures_stay_at_chance(defence: object, settings: AttackSettings) -> None:
    for found in run(toy(defence), settings).values():  # type: ignore[arg-type]
        assert found.control is not None
        assert found.false_positives is not None
        assert found.at_chance
        assert found.control.value <= 0.01
        assert (
            found.false_positives.value <= 0.15
        )  # of 12 to 96 searches, where the threshold allows 1 in 100


def test_choices_are_made_on_the_development_people_alone(settings: AttackSettings) -> None:
    """Whatever the people under attack look like, the attack that is chosen is the same."""
    one = toy(rotated)
    other = replace(one, subjects={name: {"published": torch.randn(8, DIMENSION)} for name in one.subjects})
    chosen, again = run(one, settings), run(other, settings)
    for tier in UP_TO_T4:
        assert chosen[tier].attack == again[tier].attack
        assert chosen[tier].tried == again[tier].tried


def test_each_tier_does_no_worse_than_the_one_before_where_choices_are_made(settings: AttackSettings) -> None:
    found = run(toy(drowned, drowned), settings, TIERS)
    best = [max(each.tried, key=lambda tried: tried.strength).strength for each in found.values()]
    assert best == sorted(best)
    for each in found.values():
        assert max(each.tried, key=lambda tried: tried.strength).attack == each.attack


def test_lower_tiers_are_run_on_the_way(settings: AttackSettings) -> None:
    everything = run(toy(drowned), settings)
    assert run(toy(drowned), settings, ("T3",)) == {"T3": everything["T3"]}


def test_one_person_can_be_attacked_and_has_no_control(settings: AttackSettings) -> None:
    found = run(toy(undefended, people=1), settings)["T3"]
    assert found.linked.value == 1.0
    assert found.linked.unit == "pictures"
    assert found.control is None
    assert found.at_chance


def test_a_result_is_plain_figures(settings: AttackSettings) -> None:
    found = run(toy(undefended), settings)["T3"]
    tree = json.loads(json.dumps(asdict(found)))
    assert tree["tier"] == "T3"
    assert tree["linked"]["unit"] == "subjects"
    assert "subject 0" not in json.dumps(tree)


def test_what_cannot_be_attacked_is_refused(settings: AttackSettings) -> None:
    given = toy(undefended)
    with pytest.raises(InputError, match="no attack tier T9"):
        run(given, settings, ("T9",))
    with pytest.raises(InputError, match="model file"):
        run(given, settings, ("T5",))
    with pytest.raises(InputError, match="learn from people"):
        run(replace(given, knowledge=Knowledge(given.knowledge.dev)), settings)
    with pytest.raises(InputError, match="fewer than two people"):
        run(replace(given, knowledge=Knowledge({})), settings, ("T0",))
    with pytest.raises(InputError, match="no photo in the gallery"):
        run(replace(given, gallery={"stranger 0": torch.zeros(1, DIMENSION)}), settings, ("T0",))
    with pytest.raises(InputError, match="nobody to attack"):
        run(replace(given, subjects={}), settings, ("T0",))
    overlap = Knowledge({**given.knowledge.dev, "stranger 0": given.knowledge.dev["dev 0"]})
    with pytest.raises(InputError, match="Somebody is in two"):
        run(replace(given, knowledge=overlap), settings, ("T0",))

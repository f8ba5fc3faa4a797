"""Attacks on synthetic embeddings whose answer is known."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from support.attacks import DIMENSION, Defence, Toy, rotation, toy
from visard.attacks import TIERS, AttackSettings, AttackTier, Embeddings, Knowledge, attack
from visard.attacks.result import LAX
from visard.errors import InputError

UP_TO_T4 = TIERS[:5]
SETTINGS = AttackSettings(draws=200, pictures_out=(1, 4, 8))


def run(toy: Toy, tiers: tuple[str, ...] = UP_TO_T4) -> dict[str, AttackTier]:
    found = attack(toy.subjects, toy.gallery, toy.knowledge, Embeddings(), tiers=tiers, settings=SETTINGS)
    return {each.tier: each for each in found}


@cache
def attacked(defence: Defence) -> dict[str, AttackTier]:
    """Up to T4, once for all tests."""
    return run(toy(defence))


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


def test_without_a_defence_one_picture_is_enough() -> None:
    found = run(toy(undefended), ("T0",))["T0"]
    assert found.linked.value > 0.95
    assert found.matched.value > 0.95
    assert found.linked.low >= 1 - 3 / 12  # the rule of three, if all of 12 are linked
    assert (found.people, found.count, found.gallery, found.k) == (12, 12, 12 + 36, 1)
    assert found.first.value >= found.linked.value
    assert (found.dev, found.train) == (16, 0)
    assert (found.asked_fpir, found.fpir) == (0.01, 1 / 17)  # the finest rate that 16 people can show
    assert "16 people to set the threshold by cannot show a false-positive rate of 0.01" in found.cautions[0]


def test_a_rotation_is_undone_by_the_informed_attacker_alone() -> None:
    found = attacked(rotated)
    for tier in ("T0", "T1", "T2"):
        assert found[tier].linked.value < 0.1
    assert found["T4"].linked.value > 0.95
    assert "map" in found["T4"].attack
    assert found["T4"].train == 40
    few, half = found["T4"].learned_from
    assert (few.people, half.people) == (10, 20)  # in 24 dimensions, of which so many people show a part
    assert few.linked.value < 0.5 < half.linked.value
    assert found["T3"].learned_from == []


def test_what_fewer_people_teach_is_what_an_attacker_with_fewer_learns() -> None:
    given = toy(rotated)
    train = dict(list(given.knowledge.train.items())[:20])
    alone = run(replace(given, knowledge=replace(given.knowledge, train=train)))["T4"]
    half = attacked(rotated)["T4"].learned_from[-1]
    assert half.attack == alone.attack
    assert half.linked.value == alone.linked.value


def test_the_informed_attacker_is_asked_for_every_number_of_pictures() -> None:
    """What one picture gives away to somebody who has learned is not hidden behind what many do."""
    found = attacked(shifted)
    assert [each.k for each in found["T4"].together] == [1, 4, 8]
    one = found["T4"].together[0]
    assert one.linked.value > 0.9 > found["T2"].linked.value
    assert "1 picture" in one.attack
    assert found["T3"].together[0].linked.value < 0.3
    assert found["T2"].together == []


def test_a_person_is_linked_once_any_search_does() -> None:
    for each in attacked(drowned).values():
        assert each.ever.value >= each.linked.value
    assert attacked(drowned)["T0"].ever.value > attacked(drowned)["T0"].linked.value + 0.1
    whole = attacked(drowned)["T3"]
    assert (whole.k, whole.ever.value) == (8, whole.linked.value)  # one search a person


def test_the_rate_holds_after_all_choices() -> None:
    """Many attacks are tried on few people and one is chosen: newcomers are not named more often."""
    seeds = range(12)
    named = []
    for seed in seeds:
        found = run(toy(drowned, people=40, seed=seed), ("T3",))["T3"]
        assert found.false_positives is not None
        named.append(found.false_positives.value)
    assert sum(named) / len(named) <= 1.5 / 17


def test_a_constant_is_undone_by_the_informed_attacker() -> None:
    found = attacked(shifted)
    assert found["T0"].linked.value < 0.3
    assert found["T4"].linked.value > 0.95


def test_noise_is_averaged_out_by_looking_at_more_pictures() -> None:
    found = attacked(drowned)
    assert found["T3"].k == 8
    assert found["T3"].linked.value > found["T2"].linked.value + 0.2
    assert [each.k for each in found["T3"].together] == [1, 4, 8]
    shares = [each.linked.value for each in found["T3"].together]
    assert shares == sorted(shares)
    assert shares[0] == found["T2"].linked.value


def test_from_noise_no_tier_learns_anything() -> None:
    for found in run(toy(pure_noise, pure_noise), TIERS).values():
        assert found.linked.value <= 0.1
        assert found.linked.low <= SETTINGS.fpir
        assert found.matched.value < 0.1


def test_the_model_file_gives_away_what_the_pictures_do_not() -> None:
    found = run(toy(pure_noise, drowned), ("T4", "T5"))
    assert found["T4"].linked.value <= 0.1
    assert found["T5"].linked.value > 0.8
    assert "leaked pictures" in found["T5"].attack


@pytest.mark.parametrize("defence", [undefended, rotated, shifted, drowned])
def test_other_peoples_pictures_stay_at_chance(defence: Defence) -> None:
    for found in attacked(defence).values():
        assert found.control is not None
        assert found.false_positives is not None
        assert found.at_chance
        assert found.control.value <= 0.01
        assert found.false_positives.value <= LAX / 17
        assert found.fpir == 1 / 17
        assert not any("does not hold" in each or "but the person" in each for each in found.cautions)


@pytest.mark.parametrize("defence", [undefended, drowned])
def test_exchanged_pictures_link_by_chance_also_where_whom_they_show_is_in_the_gallery(
    defence: Defence,
) -> None:
    given = toy(defence)
    pairs = {f"subject {index}": f"subject {index ^ 1}" for index in range(12)}
    swapped = {name: given.subjects[other] for name, other in pairs.items()}
    found = attack(
        swapped,
        given.gallery,
        given.knowledge,
        Embeddings(),
        settings=SETTINGS,
        exchanged=pairs,
        tiers=UP_TO_T4,
    )
    plain = attacked(defence)
    for each in found:
        assert each.attack == plain[each.tier].attack
        assert each.linked.value <= 0.05
        assert each.at_chance
        assert each.false_positives is not None
        assert each.false_positives.value <= LAX / 17


def test_pictures_that_all_name_one_stranger_are_not_taken_for_chance() -> None:
    given = toy(undefended)
    stranger = given.gallery["stranger 0"]
    assert isinstance(stranger, Tensor)
    alike = {"published": stranger.repeat(2, 1)}
    found = run(replace(given, subjects=dict.fromkeys(given.subjects, alike)), ("T0", "T3"))
    for each in found.values():
        assert each.false_positives is not None
        assert each.false_positives.value == 1.0
        assert each.linked.value == 0.0
        assert not each.at_chance
        assert "100% of the searches for somebody who is not enrolled name somebody" in each.cautions[-1]


def test_pictures_that_name_another_of_the_people_raise_a_caution() -> None:
    """Everybody's pictures look like subject 0: something but the person links them."""
    given = toy(undefended)
    first = given.gallery["subject 0"]
    assert isinstance(first, Tensor)
    alike = {name: {"published": first} for name in given.subjects}
    found = run(replace(given, subjects=alike), ("T0",))["T0"]
    assert found.control is not None
    assert found.control.low > found.fpir / (found.gallery - 1)
    assert "something but the person links these pictures" in found.cautions[-1]


def test_choices_are_made_on_the_development_people_alone() -> None:
    """Whatever the people under attack look like, the attack that is chosen is the same."""
    one = toy(rotated)
    other = replace(one, subjects={name: {"published": torch.randn(8, DIMENSION)} for name in one.subjects})
    chosen, again = attacked(rotated), run(other)
    for tier in UP_TO_T4:
        assert chosen[tier].attack == again[tier].attack
        assert chosen[tier].tried == again[tier].tried


def test_each_tier_does_no_worse_than_the_one_before_where_choices_are_made() -> None:
    found = run(toy(drowned, drowned), TIERS)
    best = [max(each.tried, key=lambda tried: tried.strength).strength for each in found.values()]
    assert best == sorted(best)
    for each in found.values():
        assert max(each.tried, key=lambda tried: tried.strength).attack == each.attack


def test_lower_tiers_are_run_on_the_way() -> None:
    everything = attacked(drowned)
    assert run(toy(drowned), ("T3",)) == {"T3": everything["T3"]}


def test_one_person_can_be_attacked_and_has_no_control() -> None:
    found = run(toy(undefended, people=1))["T3"]
    assert found.linked.value == 1.0
    assert found.linked.unit == "pictures"
    assert found.control is None
    assert found.at_chance


def test_a_result_is_plain_figures() -> None:
    found = attacked(undefended)["T3"]
    tree = json.loads(json.dumps(asdict(found)))
    assert tree["tier"] == "T3"
    assert tree["linked"]["unit"] == "subjects"
    assert "subject 0" not in json.dumps(tree)


def test_what_cannot_be_attacked_is_refused() -> None:
    given = toy(undefended)
    with pytest.raises(InputError, match="not shares"):
        AttackSettings(fpir=0.0)
    with pytest.raises(InputError, match="looks at no pictures"):
        AttackSettings(pictures_out=())
    with pytest.raises(InputError, match="no attack tier T9"):
        run(given, ("T9",))
    with pytest.raises(InputError, match="model file"):
        run(given, ("T5",))
    with pytest.raises(InputError, match="learn from people"):
        run(replace(given, knowledge=Knowledge(given.knowledge.dev)))
    with pytest.raises(InputError, match="fewer than two people"):
        run(replace(given, knowledge=Knowledge({})), ("T0",))
    with pytest.raises(InputError, match="no photo in the gallery"):
        run(replace(given, gallery={"stranger 0": torch.zeros(1, DIMENSION)}), ("T0",))
    with pytest.raises(InputError, match="nobody to attack"):
        run(replace(given, subjects={}), ("T0",))
    overlap = Knowledge({**given.knowledge.dev, "stranger 0": given.knowledge.dev["dev 0"]})
    with pytest.raises(InputError, match="Somebody is in two"):
        run(replace(given, knowledge=overlap), ("T0",))

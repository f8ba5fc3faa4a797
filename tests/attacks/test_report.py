"""The audit of people under attack: pictures of several sizes, and what the tiers say."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch.nn.functional as F
from torch import Tensor

from support.toys import ToyWorld, toy_instruments
from visard.attacks import PUBLISHED, AttackSettings, AttackTier
from visard.attacks.inputs import Source
from visard.attacks.report import audited
from visard.audit import Person
from visard.metrics.bootstrap import Estimate


def tier(linked: float) -> AttackTier:
    share = Estimate(linked, linked, linked, 2, "subjects")
    return AttackTier(
        tier="T3",
        description="several pictures",
        linked=share,
        count=2,
        attack="first; 4 pictures",
        people=2,
        gallery=12,
        k=4,
        fpir=0.05,
        fmr=1e-3,
        asked_fpir=0.05,
        dev=20,
        train=0,
        first=share,
        matched=share,
        ever=share,
        at_rate=None,
        control=None,
        false_positives=None,
        together=[],
        learned_from=[],
        tried=[],
    )


def larger(pictures: Tensor) -> Tensor:
    return F.interpolate(pictures, scale_factor=2)


@pytest.mark.parametrize("training", [False, True])
def test_people_are_audited_and_the_tiers_added(training: bool) -> None:
    world = ToyWorld()
    people = []
    for _ in range(2):
        face = world.person()
        taught = larger(world.photos(face, 4)) if training else None
        people.append(Person(larger(world.photos(face, 4)), {PUBLISHED: world.photos(face, 16)}, taught))
    strangers: dict[str, Source] = {}
    for index in range(10):
        strangers[f"stranger {index}"] = world.photos(world.person(), 4)
    strangers["stranger 0"] = lambda: larger(world.photos(world.person(), 4))
    found = audited(people, strangers, [tier(0.5)], toy_instruments(), settings=AttackSettings(fpir=0.05))
    assert (found.people, found.gallery, found.settings.fpir) == (2, 12, 0.05)
    assert found.tiers == [tier(0.5)]
    assert found.claims[0].startswith("At attack tier T3 (several pictures), in a gallery of 12")
    assert "of 2 subjects are linked by “published” pictures" in found.claims[1]
    assert (found.arms[0].resemblance.copying is not None) == training


def test_a_tier_that_links_less_than_a_weaker_one_raises_its_flag() -> None:
    world = ToyWorld()
    face = world.person()
    strangers: dict[str, Source] = {str(index): world.photos(world.person(), 4) for index in range(10)}
    rows = [replace(tier(0.9), tier="T2"), tier(0.1)]
    found = audited(
        [Person(world.photos(face, 4), {PUBLISHED: world.photos(face, 8)})],
        strangers,
        rows,
        toy_instruments(),
    )
    assert "tier-order" in {flag.code for flag in found.flags}

"""The sentence on top: what it speaks of must hold of everybody it names."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from support.toys import ToyWorld, toy_instruments
from visard.audit import AuditSettings, Person, TierResult, audit_people
from visard.audit.claim import claims, tier_claims
from visard.audit.result import LinkedIn
from visard.metrics.bootstrap import Estimate

SETTINGS = AuditSettings(draws=10, null_draws=5, pictures_out=(1, 2, 4, 6))


@pytest.mark.parametrize(
    ("pictures", "undefended", "claimed"),
    [
        ([6], [6], "With 6 pictures out:"),
        ([6, 6, 4], [6, 6, 4], "With 4 pictures out:"),
        ([6, 6, 4], [6, 6, 2], "With 4 pictures out:"),
        ([6, 6, 1], [6, 6, 6], ""),
    ],
)
def test_more_pictures_are_claimed_where_everybody_has_them(
    pictures: list[int], undefended: list[int], claimed: str
) -> None:
    world = ToyWorld()
    people = []
    for drawn, plain in zip(pictures, undefended, strict=True):
        face = world.person()
        people.append(
            Person(
                world.photos(face, 3), {"iddm": world.photos(face, drawn), "none": world.photos(face, plain)}
            )
        )
    (claim,) = audit_people(people, world.strangers(6, 2), toy_instruments(), settings=SETTINGS).claims
    _, out, more = claim.partition("With ")
    assert (out + more).startswith(claimed)
    assert bool(out) == bool(claimed)
    assert ("undefended" in more) == (bool(claimed) and min(undefended) == min(pictures))


def share(value: float) -> Estimate:
    return Estimate(value, value, value, 10, "subjects")


def judge(name: str, pooled: float, **people: float) -> Any:
    """Linked shares: of all pictures, and of people in k pictures (`out1`, `out16`)."""
    shares = [LinkedIn(int(key.removeprefix("out")), share(value)) for key, value in people.items()]
    similarity = SimpleNamespace(overall=0.5)
    return SimpleNamespace(judge=name, linked=share(pooled), similarity=similarity, linked_in=shares)


def said(*judges: Any) -> str:
    arm: Any = SimpleNamespace(arm="iddm", prompt="", key="iddm", pictures=160, judges=list(judges))
    (claim,) = claims([arm], 100, 10, AuditSettings())
    return claim


def test_every_number_is_by_the_judge_who_links_most_in_that_way() -> None:
    """A few people in all of their pictures by one judge; everybody now and then by another."""
    few, all_ = judge("few", 0.5, out1=0.5, out16=0.5), judge("all", 0.44, out1=0.44, out16=1.0)
    assert "50.0 % [" in said(few, all_).partition("With 16")[0]
    assert "the strongest judge, few." in said(few, all_)
    assert "With 16 pictures out: 100.0 % [95 % CI 100.0–100.0 %] by all." in said(few, all_)


def test_the_strongest_judge_is_so_in_what_is_said_of_it() -> None:
    """One person with many pictures decides a share of pictures, and not one of people."""
    found = said(judge("pooled", 0.9, out1=0.33), judge("people", 0.1, out1=0.67))
    assert "67.0 %" in found
    assert "the strongest judge, people." in found


def test_a_tier_without_a_figure_is_not_the_headline() -> None:
    nothing = TierResult("T0", "", Estimate(*[float("nan")] * 3, 10, "subjects"), 10, "iddm")
    (claim,) = tier_claims([nothing, TierResult("T1", "", share(0.9), 10, "iddm")], AuditSettings())
    assert claim.startswith("At attack tier T1")
    assert "nan" not in claim

"""The sentence on top: what it speaks of must hold of everybody it names."""

from __future__ import annotations

import pytest

from support.toys import ToyWorld, toy_instruments
from visard.audit import AuditSettings, Person, audit_people

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

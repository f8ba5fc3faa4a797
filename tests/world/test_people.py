"""Identities: the same for everyone, in one split only."""

import itertools

import pytest

from visard.world.people import GEOMETRY, SPLITS, age_word, person, split_people


def test_no_number_is_in_two_splits() -> None:
    for (a, b), (c, d) in itertools.combinations(SPLITS.values(), 2):
        assert b <= c or d <= a


def test_a_person_is_a_function_of_the_number() -> None:
    assert person(80_000) == person(80_000)
    assert person(80_000).shape != person(80_001).shape


def test_geometry_differs_between_people() -> None:
    crowd = [person(n).shape for n in split_people("test", 40)]
    for name in GEOMETRY:
        values = {round(shape[name], 6) for shape in crowd}
        assert len(values) > 30, name


def test_words_are_true() -> None:
    for n in split_people("test", 60):
        who = person(n)
        assert who.traits["age_word"] == age_word(float(who.traits["age"]))
        assert who.shape[f"style_{who.traits['hair_style']}"] == 1.0
        if who.traits["beard"] != "none":
            assert float(who.traits["age"]) > 18


def test_a_split_is_not_overdrawn() -> None:
    with pytest.raises(ValueError, match="test"):
        split_people("test", 10_000)

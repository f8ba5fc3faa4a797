"""The gate of a method, item by item."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from visard.audit import AuditSettings
from visard.audit.gate import verdicts
from visard.audit.result import Appearance, Difference, Lift, Verdict

DOWN, UP, NEITHER = (-0.6, -0.4), (0.05, 0.15), (-0.1, 0.1)


def verdict(
    *,
    overall: tuple[float, float] = DOWN,
    detected: tuple[float, float] = DOWN,
    faces: tuple[float, float] = UP,
    every: tuple[float, float] = UP,
    photos: float = 0.2,
    appearance: Appearance | None = None,
) -> Verdict:
    """Of an arm with these intervals of its changes and lifts."""
    arm: Any = SimpleNamespace(
        arm="iddm",
        prompt="",
        pictures=40,
        faces=SimpleNamespace(faces=36),
        strongest=SimpleNamespace(difference=Difference(-0.5, overall, -0.5, detected)),
        resemblance=SimpleNamespace(lift=Lift(0.1, faces, 0.1, every, photos), appearance=appearance),
    )
    (found,) = verdicts([arm], AuditSettings())
    return found


def test_both_halves_pass_by_both_ways_of_counting() -> None:
    assert verdict().passed
    assert "36 of 40 pictures show a face" in verdict().sentence


@pytest.mark.parametrize("way", ["overall", "detected"])
def test_linked_less_in_one_way_alone_is_not_enough(way: str) -> None:
    found = verdict(**{way: NEITHER})  # type: ignore[arg-type]
    assert (found.links_less, found.resembles_more, found.passed) == (False, True, False)


@pytest.mark.parametrize("way", ["faces", "every"])
def test_more_of_the_person_in_one_way_alone_is_not_enough(way: str) -> None:
    found = verdict(**{way: NEITHER})  # type: ignore[arg-type]
    assert (found.links_less, found.resembles_more, found.passed) == (True, False, False)


def test_where_words_agree_as_often_as_photos_it_does_not_tell() -> None:
    found = verdict(photos=-0.01)
    assert (found.resembles_more, found.passed) == (None, False)
    assert "not even real photos" in found.sentence


def test_what_is_not_known_is_not_said_of_photos() -> None:
    """A single reference photo, or no face by attributes alone."""
    found = verdict(photos=float("nan"))
    assert (found.resembles_more, found.passed) == (None, False)
    assert "is not known" in found.sentence
    assert "not even" not in found.sentence


def test_where_people_are_described_words_do_not_decide() -> None:
    seen: Any = SimpleNamespace(lift=Lift(0.3, UP, 0.3, UP, 0.5))
    found = verdict(faces=NEITHER, every=NEITHER, photos=-0.01, appearance=seen)
    assert found.passed
    assert "by how its faces are described" in found.sentence
    lost: Any = SimpleNamespace(lift=Lift(0.3, UP, 0.1, NEITHER, 0.5))  # faces destroyed
    assert not verdict(appearance=lost).passed
    alone: Any = SimpleNamespace(lift=None)
    assert verdict(appearance=alone).resembles_more is None

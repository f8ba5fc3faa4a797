"""The gate of a method, item by item."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from visard.audit import AuditSettings
from visard.audit.flags import REPULSION
from visard.audit.gate import under_attack, verdicts
from visard.audit.result import Appearance, Difference, Flag, Lift, TierResult, Verdict
from visard.metrics.bootstrap import Estimate

DOWN, UP, NEITHER = (-0.6, -0.4), (0.05, 0.15), (-0.1, 0.1)


def verdict(
    *,
    overall: tuple[float, float] = DOWN,
    detected: tuple[float, float] = DOWN,
    faces: tuple[float, float] = UP,
    every: tuple[float, float] = UP,
    photos: float = 0.2,
    appearance: Appearance | None = None,
    flags: Sequence[Flag] = (),
) -> Verdict:
    """Of an arm with these intervals of its changes and lifts."""
    arm: Any = SimpleNamespace(
        arm="iddm",
        prompt="",
        key="iddm",
        judges=[SimpleNamespace(judge="first"), SimpleNamespace(judge="second")],
        pictures=40,
        faces=SimpleNamespace(faces=36),
        strongest=SimpleNamespace(judge="first", difference=Difference(-0.5, overall, -0.5, detected)),
        resemblance=SimpleNamespace(lift=Lift(0.1, faces, 0.1, every, photos), appearance=appearance),
    )
    (found,) = verdicts([arm], flags, AuditSettings())
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


@pytest.mark.parametrize(
    ("code", "where", "doubted"),
    [
        (REPULSION, "iddm, second", True),
        (REPULSION, "none, second", False),
        ("judge-was-surrogate", "first", True),  # which links most
        ("judge-was-surrogate", "second", False),
        ("few-people", "", False),
    ],
)
def test_what_is_linked_less_for_a_doubtful_reason_does_not_pass(
    code: str, where: str, doubted: bool
) -> None:
    found = verdict(flags=[Flag(code, "A doubt", "", where)])
    assert (found.links_less, found.resembles_more) == (True, True)
    assert (found.passed, found.decided) == (not doubted, not doubted)
    assert ("not to be relied on: a doubt" in found.sentence) == doubted


def tier(name: str, arm: str, low: float, high: float) -> TierResult:
    return TierResult(name, "", Estimate((low + high) / 2, low, high, 20, "subjects"), 20, arm)


def test_a_stronger_attack_takes_back_what_a_weaker_one_let_pass() -> None:
    first, weak = verdict(), [tier("T0", "iddm", 0.1, 0.3), tier("T0", "none", 0.5, 0.7)]
    held = under_attack(first, weak, "none")
    assert held.passed
    assert "up to attack tier T0" in held.sentence
    strong = [tier("T4", "iddm", 0.9, 1.0), tier("T4", "none", 0.95, 1.0)]
    lost = under_attack(first, [*weak, *strong], "none")
    assert (lost.links_less, lost.passed, lost.decided) == (False, False, True)
    assert "At attack tier T4 it is not shown to be linked less: 95% against 98%." in lost.sentence
    alone = under_attack(first, [*weak, strong[0]], "none")
    assert (alone.links_less, alone.passed, alone.decided) == (None, False, False)
    unknown = under_attack(first, [tier("T4", "iddm", float("nan"), float("nan")), strong[1]], "none")
    assert (unknown.links_less, unknown.passed) == (None, False)
    assert "nan" not in unknown.sentence
    both = under_attack(first, [*strong, tier("T5", "iddm", 0.1, 0.2)], "none")  # what is known outweighs
    assert "At attack tier T4" in both.sentence
    assert under_attack(first, [tier("T4", "other", 0.9, 1.0)], "none") == first


def test_a_stronger_attack_does_not_mend_a_verdict() -> None:
    failed = verdict(overall=NEITHER)
    found = under_attack(failed, [tier("T4", "iddm", 0.1, 0.2), tier("T4", "none", 0.8, 0.9)], "none")
    assert not found.links_less
    assert "The same holds" not in found.sentence

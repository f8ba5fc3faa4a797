"""What pictures show of the person: more where the person is, nothing without a face or an instrument."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from support.toys import ToyAttributes, ToyDescriber, ToyDetector, ToyWorld, blank
from visard.benchmark.usefulness import Usefulness

PROMPT = "one prompt"


def looking(describer: bool = True) -> Usefulness:
    detector, attributes, describes = ToyDetector(), ToyAttributes(), ToyDescriber()
    parts: list[Any] = [detector, [attributes], [], describes if describer else None]
    return Usefulness(*parts)


@pytest.fixture
def world() -> ToyWorld:
    return ToyWorld()


def scores(usefulness: Usefulness, clean: Tensor, pictures: Tensor) -> dict[str, Any]:
    return usefulness.score(clean, {PROMPT: pictures})[PROMPT]


def test_the_person_is_described_alike_and_named_and_a_stranger_is_not(world: ToyWorld) -> None:
    person, usefulness = world.person(), looking()
    clean, strangers = world.photos(person, 6), world.strangers(10, 2)
    usefulness.enroll(strangers.photos, torch.tensor(strangers.labels))
    own = scores(usefulness, clean, world.photos(person, 8))
    other = scores(usefulness, clean, strangers.photos[:8])
    assert own["appearance"] == pytest.approx(own["appearance_of_photos"], abs=0.1)
    assert own["appearance"] > 0.8 > 0.5 > other["appearance"]
    assert own["rank_1_described"] == 1.0
    assert other["rank_1_described"] == 0.0
    assert own["agreement"] > other["agreement"]


def test_a_lost_face_is_not_named(world: ToyWorld) -> None:
    person, usefulness = world.person(), looking()
    clean = world.photos(person, 4)
    usefulness.enroll(world.strangers(3, 1).photos, torch.tensor([0, 1, 2]))
    half = scores(usefulness, clean, torch.cat([world.photos(person, 3), blank(3)]))
    assert half["rank_1_described"] == 0.5
    assert half["appearance"] > 0.8
    none = scores(usefulness, clean, blank(2))
    assert none["appearance"] is None
    assert none["rank_1_described"] == 0.0


def test_among_nobody_nobody_is_named(world: ToyWorld) -> None:
    usefulness = looking()
    usefulness.enroll(blank(2), torch.tensor([0, 1]))  # strangers without a face are not enrolled
    found = scores(usefulness, *(world.photos(world.person(), 4) for _ in range(2)))
    assert found["appearance"] is not None
    assert found["rank_1_described"] is None


def test_without_a_describer_nothing_is_said_of_appearance(world: ToyWorld) -> None:
    found = scores(looking(describer=False), world.photos(world.person(), 4), world.photos(world.person(), 4))
    assert found["appearance"] is found["appearance_of_photos"] is found["rank_1_described"] is None
    assert found["agreement"] is not None

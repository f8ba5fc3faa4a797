"""Real photos beside the pictures: what they are compared with; a single other photo is no reference."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from visard.audit import bench
from visard.audit.inputs import AuditSettings


def unit(*degrees: float) -> Tensor:
    angles = torch.deg2rad(torch.tensor(degrees))
    return torch.stack([angles.cos(), angles.sin()], 1)


def built(people: list[Tensor], strangers: list[Tensor]) -> bench.Bench:
    owner = torch.cat([torch.full((len(photos),), index) for index, photos in enumerate(strangers)])
    generator = torch.Generator().manual_seed(0)
    return bench.build(people, torch.cat(strangers), owner, AuditSettings(draws=4), generator)


def test_a_photo_is_compared_with_all_others_of_its_person() -> None:
    expected = [torch.cos(torch.deg2rad(torch.tensor(angle))).item() for angle in (15.0, 0.0, 15.0)]
    assert bench.left_out(unit(0, 10, 20)).tolist() == pytest.approx(expected, abs=1e-6)


def test_who_has_two_photos_does_not_stand_for_who_has_three() -> None:
    found = built([unit(0, 10, 20)], [unit(90, 150), unit(200, 260)])
    assert found.real_own.tolist() == pytest.approx(bench.left_out(unit(0, 10, 20)).tolist())
    assert found.real_others.shape == (3, 3)
    assert found.real_others[:, 0].isinf().all()
    assert found.real_links.all()
    assert found.real_of_people.all()


def test_where_everybody_has_two_photos_all_count() -> None:
    found = built([unit(0, 10)], [unit(90, 150), unit(200)])
    assert found.real_own.tolist() == pytest.approx(
        [*bench.left_out(unit(0, 10)).tolist(), *bench.left_out(unit(90, 150)).tolist()]
    )
    assert found.real_others[2:, 1].isinf().all()


def test_with_one_photo_a_person_there_is_nothing_to_compare() -> None:
    found = built([unit(0)], [unit(90), unit(200)])
    assert found.real_own.numel() == 0
    assert found.real_others.shape == (0, 3)

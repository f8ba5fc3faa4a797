"""Real photos beside the pictures: what they are compared with; a single other photo is no reference."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from visard.audit import bench
from visard.audit.inputs import AuditSettings
from visard.metrics.identification import unenrolled_top_scores
from visard.metrics.verification import threshold_at


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
    assert found.real_column.tolist() == [0, 0, 0]


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


def photographed(people: int, photos: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Embeddings of people's photos, two of one with a cosine of .65: (M, 512), and whose they are, (M,)."""
    owner = torch.arange(people).repeat_interleave(photos)
    faces = torch.randn(people, 512, generator=generator)[owner]
    return normalize(
        0.65**0.5 * faces + 0.35**0.5 * torch.randn(faces.shape, generator=generator), dim=1
    ), owner


def test_a_newcomer_is_named_at_the_nominal_rate_however_many_photos_there_are() -> None:
    """Photos of one stranger err together: where 1 % of 222 pass, two of each, .015 of newcomers do."""
    generator = torch.Generator().manual_seed(3)
    settings = AuditSettings(draws=2, false_match_rates=(), search_rates=())
    named, by_photos = [], []
    for _ in range(60):
        photos, owner = photographed(111, 2, generator)
        found = bench.build([photographed(1, 2, generator)[0]], photos, owner, settings, generator)
        searches = (photographed(500, 1, generator)[0] @ found.templates.T).amax(1)
        tops = unenrolled_top_scores(photos @ found.templates.T, owner + 1)
        named.append((searches > found.search).double().mean())
        by_photos.append((searches > threshold_at(tops, settings.fpir)).double().mean())
    assert torch.stack(named).mean() == pytest.approx(0.01, abs=0.0015)
    assert torch.stack(by_photos).mean() > 0.013


@pytest.mark.parametrize(
    ("asked", "shown"), [((0.01, 0.003), [1 / 56]), ((0.1, 0.05, 0.003), [0.1, 0.05, 1 / 56])]
)
def test_a_search_with_half_enrolled_has_rates_that_both_halves_show(
    asked: tuple[float, ...], shown: list[float]
) -> None:
    generator = torch.Generator().manual_seed(0)
    photos, owner = photographed(111, 2, generator)  # halves of 55 and 56
    settings = AuditSettings(draws=4, search_rates=asked)
    for half in bench.build([photos[:3]], photos, owner, settings, generator).halves:
        assert list(half.thresholds) == list(half.draws) == shown

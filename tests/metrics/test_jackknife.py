from __future__ import annotations

import math

import pytest
import torch

from visard.metrics.jackknife import jackknife_interval


def test_of_a_mean_it_is_students_interval() -> None:
    values = [0.2, 0.5, 0.9, 0.4, 0.7]
    found = jackknife_interval(lambda people: sum(values[each] for each in people) / len(people), range(5))
    sample = torch.tensor(values, dtype=torch.float64)
    reach = 2.7764451 * float(sample.std()) / 5**0.5  # t of 4 degrees of freedom
    assert found == pytest.approx((float(sample.mean()) - reach, float(sample.mean()) + reach))


def test_it_covers_what_it_says() -> None:
    """The squared mean of twenty draws, two hundred times: the true value is outside about once in twenty."""
    draw = torch.Generator().manual_seed(0)
    missed = 0
    for _ in range(200):
        values = 1 + torch.randn(20, generator=draw, dtype=torch.float64)
        low, high = jackknife_interval(lambda people, v=values: float(v[list(people)].mean() ** 2), range(20))
        missed += not low <= 1.0 <= high
    assert 2 <= missed <= 22


def test_two_people_have_no_interval() -> None:
    assert all(map(math.isnan, jackknife_interval(lambda people: 1.0, range(2))))

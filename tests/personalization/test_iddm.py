"""Algorithm 1: the order and the counts of its steps."""

from __future__ import annotations

import itertools
import logging

import pytest

from visard.personalization.decoupling import Stage
from visard.personalization.iddm import Call, algorithm_1, plan, share, stage_one_steps
from visard.personalization.settings import DecouplingSettings


def kinds(**options):  # type: ignore[no-untyped-def]
    defaults = {"rounds": 10, "fine_tuning_steps": 1000, "pgd_steps": 8, "rho": 0.1, "split": "carry"}
    return list(algorithm_1(**{**defaults, **options}))


def test_every_round_is_reference_then_update_then_protected() -> None:
    for k in range(1, 11):
        order = [
            kind for kind, _ in itertools.groupby(move.kind for move in kinds(rho=0.3) if move.round == k)
        ]
        assert order == [Call.REFERENCE, Stage.FIDELITY, Stage.IDENTITY, Call.PROTECTED]


def test_a_thousand_steps_are_fifty_a_call() -> None:
    moves = kinds()
    for k, call in itertools.product(range(1, 11), Call):
        assert sum(move.round == k and move.kind is call for move in moves) == 50


@pytest.mark.parametrize(("total", "rounds"), [(1000, 50), (1003, 10), (23, 10), (20, 10)])
def test_the_total_of_steps_is_kept_and_spread(total: int, rounds: int) -> None:
    shares = [share(total, 2 * rounds, part) for part in range(1, 2 * rounds + 1)]
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize(
    ("rho", "split", "fidelity"),
    [
        (0.1, "carry", 8),
        (0.3, "carry", 24),
        (0.5, "carry", 40),
        (0.1, "floor", 0),
        (0.3, "floor", 20),
        (0.5, "floor", 40),
    ],
)
def test_counts_of_both_stages(rho: float, split: str, fidelity: int) -> None:
    found = [move.kind for move in kinds(rho=rho, split=split)]
    assert found.count(Stage.FIDELITY) == fidelity
    assert found.count(Stage.IDENTITY) == 80 - fidelity


def test_the_fraction_is_carried_over_rounds() -> None:
    assert [stage_one_steps(8, 0.1, k, "carry") for k in range(1, 11)] == [0, 1, 1, 1, 1, 0, 1, 1, 1, 1]
    assert [stage_one_steps(8, 0.1, k, "floor") for k in range(1, 11)] == [0] * 10


@pytest.mark.parametrize(("rho", "stage"), [(0.0, Stage.IDENTITY), (1.0, Stage.FIDELITY)])
def test_the_ends_of_the_dial_have_one_stage(rho: float, stage: Stage) -> None:
    assert {move.kind for move in kinds(rho=rho)} - set(Call) == {stage}


def test_joint_descends_both_losses_in_every_step() -> None:
    assert [move.kind for move in kinds(joint=True)].count(Stage.JOINT) == 80


def test_no_defence_is_the_same_loop_without_updates() -> None:
    settings = DecouplingSettings()
    plain, defended = plan(settings, 1000, defended=False), plan(settings, 1000, defended=True)
    assert plain == [move for move in defended if isinstance(move.kind, Call)]


def test_rounds_open_and_close_once() -> None:
    moves = kinds()
    assert sum(move.opens_update for move in moves) == sum(move.closes_round for move in moves) == 10


def test_a_floor_that_drops_stage_one_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        plan(DecouplingSettings(stage_split="floor"), 1000, defended=True)
    assert "0.8 of 8 steps a round are Stage I by rho = 0.1, and 0 are made" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        plan(DecouplingSettings(stage_split="floor", rho=0.3), 1000, defended=True)
    assert "2.4 of 8 steps" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        plan(DecouplingSettings(stage_split="floor", rho=0.5), 1000, defended=True)
    assert not caplog.text  # 4 of 8: nothing is dropped
    with caplog.at_level(logging.WARNING):
        plan(DecouplingSettings(), 1000, defended=True)
    assert not caplog.text

"""What a run costs: every stage is booked once, under its own name, with the memory it held."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from visard.benchmark.memory import Peak, peak_memory
from visard.benchmark.stages import Meter, few_steps, measure
from visard.kits import open_kit
from visard.personalization.iddm import plan
from visard.personalization.settings import PersonalizationSettings

MEGABYTE = 10**6


@pytest.fixture
def settings(kit: str) -> PersonalizationSettings:
    return few_steps(open_kit(kit), rounds=2, method="lora", precision="bf16", sampler_steps=1)


def test_every_kind_of_step_happens_once_a_round(settings: PersonalizationSettings) -> None:
    kinds = [move.kind.value for move in plan(settings.decoupling, settings.fine_tuning.steps, defended=True)]
    assert kinds == ["reference", "fidelity", "identity", "protected"] * 2
    assert settings.save_memory


def test_a_run_is_measured_from_loading_to_writing_and_leaves_nothing(
    settings: PersonalizationSettings,
    kit: str,
    photo_folder: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    cost = measure(settings, photo_folder(4, 40), open_kit(kit))
    assert {each.stage: each.count for each in cost.stages} == {
        "loading": 1,
        "checking photos": 1,
        "class pictures": 1,
        "encoding photos": 1,
        "fine-tuning step, X_c": 2,
        "checkpoint": 8,
        "Stage I step": 2,
        "Stage II step": 2,
        "fine-tuning step, X'": 2,
        "writing model": 1,
    }
    assert sum(each.count * each.seconds for each in cost.stages) <= cost.seconds
    assert cost.resident == max(each.resident for each in cost.stages) > 50 * MEGABYTE
    assert all(each.seconds > 0 and each.device == 0 for each in cost.stages)
    assert (cost.photos, cost.resolution, cost.device) == (4, 32, "cpu")
    assert cost.parameters.keys() == {"vae", "unet", "text_encoder"}
    assert list(scratch.iterdir()) == []


def test_time_and_memory_go_to_the_stage_that_ended() -> None:
    moves = plan(PersonalizationSettings().decoupling, 20, defended=False)
    now = [0.0]
    peaks = iter([Peak(5, 0), Peak(9, 2), Peak(7, 3)])

    def slow_display(stage: str, done: int, total: int, **figures: float) -> None:
        now[0] += 100

    meter = Meter(moves, lambda: next(peaks), slow_display, clock=lambda: now[0])
    now[0] += 1
    meter("loading", 1, 1)
    now[0] += 2
    meter("personalization", 1, 20)
    now[0] += 4
    meter("personalization", 3, 20)
    loading, tuning = meter.costs()
    assert (loading.stage, loading.count, loading.seconds, loading.resident) == ("loading", 1, 1.0, 5)
    assert (tuning.stage, tuning.count, tuning.seconds) == ("fine-tuning step, X_c", 2, 3.0)
    assert (tuning.resident, tuning.device) == (9, 3)


def test_memory_that_was_freed_again_is_seen_once() -> None:
    with peak_memory("cpu") as take:
        before = take().resident
        large = torch.ones(75 * MEGABYTE)  # of 4 bytes
        del large
        assert take().resident - before > 100 * MEGABYTE
        assert take().resident - before < 100 * MEGABYTE

"""What a run costs: every stage is booked once, under its own name, with the memory it held."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from visard.benchmark import plain
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


def test_a_run_and_its_plain_version_are_measured_and_leave_nothing(
    settings: PersonalizationSettings,
    kit: str,
    photo_folder: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    found = measure(settings, photo_folder(4, 40), open_kit(kit), memory="32g", compare=True)
    cost = found.ours
    both = {
        "loading": 1,
        "class pictures": 1,
        "fine-tuning step, X_c": 2,
        "Stage I step": 2,
        "Stage II step": 2,
        "fine-tuning step, X'": 2,
        "writing model": 1,
    }
    alone = {"checking photos": 1, "encoding photos": 1, "checkpoint": 8}
    assert {each.stage: each.count for each in cost.stages} == both | alone
    assert found.plain is not None
    assert {each.stage: each.count for each in found.plain.stages} == both
    assert found.ratios().keys() == both.keys()
    assert all(time > 0 and memory > 0 for time, memory in found.ratios().values())
    assert sum(each.count * each.seconds for each in cost.stages) <= cost.seconds
    assert cost.resident == max(each.resident for each in cost.stages) > 50 * MEGABYTE
    assert all(each.seconds > 0 and each.device == 0 for each in cost.stages)
    assert (found.photos, found.resolution, found.device, found.memory) == (4, 32, "cpu", "32g")
    assert found.device_name
    assert found.parameters.keys() == {"vae", "unet", "text_encoder"}
    assert list(scratch.iterdir()) == []


def test_a_plain_version_that_does_not_fit_is_told_and_costs_nothing_else(
    settings: PersonalizationSettings,
    kit: str,
    photo_folder: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(plain, "run", full)
    found = measure(settings, photo_folder(4, 40), open_kit(kit), compare=True)
    assert found.plain is not None
    assert found.plain.failed
    assert found.ratios() == {}
    assert found.ours.stages


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

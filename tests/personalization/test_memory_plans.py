"""Memory plans: what they set, which one comes next, and that a run under an exact one is the same run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from personalization.fakes import CountingRecognizer, recognizer
from personalization.runs import SETTINGS, same, start, weights
from visard.diffusion.backbone import Backbone
from visard.errors import InputError, TrainingError
from visard.personalization.memory_plans import (
    PLANS,
    advice,
    applied,
    changes_of_result,
    cheaper,
    choose,
    description,
    standing_bytes,
    without_memory,
)
from visard.personalization.settings import FineTuningSettings, PersonalizationSettings, PriorSettings

Fresh = Callable[[], Backbone]
PLAIN = PersonalizationSettings()
LORA = PersonalizationSettings(method="lora")


def stable_diffusion_21() -> Backbone:
    """As many weights as Stable Diffusion 2.1 has, none of them in memory."""
    sizes = {"vae": 83.7e6, "unet": 865.9e6, "text_encoder": 340.4e6}
    networks = {name: nn.Linear(int(count), 1, bias=False, device="meta") for name, count in sizes.items()}
    return SimpleNamespace(networks=networks, device=torch.device("cpu"))  # type: ignore[return-value]


def ladder(settings: PersonalizationSettings) -> list[str]:
    names = []
    while (plan := cheaper(settings)) is not None:
        names.append(plan.name)
        settings = applied(plan, settings)
    return names


def test_each_plan_leads_to_the_next_smaller_one() -> None:
    sizes = [plan.gigabytes for plan in PLANS.values()]
    assert sizes == sorted(sizes, reverse=True)
    assert ladder(PLAIN) == ["32g", "24g", "16g", "10g"]
    assert ladder(LORA) == ["32g", "24g", "10g"]  # its moments are too small to be worth paging


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_takes_no_more_than_the_one_before_and_is_idempotent(name: str) -> None:
    backbone = stable_diffusion_21()
    under = applied(PLANS[name], PLAIN)
    assert applied(PLANS[name], under) == under
    for plan in PLANS.values():
        if plan.gigabytes < PLANS[name].gigabytes:
            smaller = standing_bytes(applied(plan, PLAIN), backbone)
            assert smaller <= standing_bytes(under, backbone) <= PLANS[name].gigabytes * 1e9


def test_what_already_takes_less_is_kept() -> None:
    lean = replace(
        PLAIN,
        fine_tuning=FineTuningSettings(optimizer="paged_adamw_8bit"),
        prior=PriorSettings(batch=1),
    )
    after = applied(PLANS["24g"], lean)
    assert (after.fine_tuning.optimizer, after.prior.batch) == ("paged_adamw_8bit", 1)


def test_what_stays_in_memory_is_counted() -> None:
    backbone = stable_diffusion_21()
    trained, vae = 865.9e6 + 340.4e6, 83.7e6
    assert standing_bytes(PLAIN, backbone) == pytest.approx(16 * trained + 4 * vae)
    assert standing_bytes(applied(PLANS["24g"], PLAIN), backbone) == pytest.approx(10 * trained + 4 * vae)
    assert standing_bytes(applied(PLANS["16g"], PLAIN), backbone) == pytest.approx(8 * trained + 4 * vae)
    assert standing_bytes(applied(PLANS["10g"], PLAIN), backbone) == pytest.approx(2 * trained + 4 * vae)
    unet_alone = replace(PLAIN, train_text_encoder=False)
    assert standing_bytes(unet_alone, backbone) == pytest.approx(16 * 865.9e6 + 4 * (340.4e6 + vae))
    assert "19.6 GB" in description(PLANS["none"], PLAIN, backbone)


@pytest.mark.parametrize(
    ("gigabytes", "plan"),
    [(80, "none"), (48, "32g"), (34.2, "32g"), (25.3, "24g"), (16.9, "16g"), (12.6, "10g"), (8, "10g")],
)
def test_auto_is_the_roomiest_that_suits_the_gpu(gigabytes: float, plan: str) -> None:
    assert choose("auto", PLAIN, stable_diffusion_21(), int(gigabytes * 1e9)).name == plan


def test_auto_needs_no_plan_for_a_small_model_or_a_cpu(base: Backbone) -> None:
    assert choose("auto", PLAIN, base, int(8e9)).name == "none"
    assert choose("auto", PLAIN, stable_diffusion_21()).name == "none"


def test_an_unknown_plan_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="auto, none, 32g, 24g, 16g, 10g"):
        choose("12g", PLAIN, stable_diffusion_21())


def test_advice_says_whether_the_result_changes() -> None:
    assert "--memory 32g: it goes on from the last checkpoint (without --no-resume)" in advice(PLAIN)
    exact = applied(PLANS["32g"], PLAIN)
    assert changes_of_result(PLAIN, exact) == []
    assert "--memory 24g and --no-resume" in advice(exact)
    assert "fine_tuning.precision (fp32 then, bf16 now)" in advice(exact)
    assert "fine_tuning.optimizer" in advice(exact)
    assert "goes on" in advice(applied(PLANS["24g"], PLAIN))  # paging moves the same moments
    assert "method (dreambooth then, lora now)" in advice(applied(PLANS["16g"], PLAIN))
    assert "smallest plan" in advice(applied(PLANS["10g"], PLAIN))


@pytest.mark.parametrize("method", ["dreambooth", "lora"])
def test_recomputing_and_moving_networks_is_the_same_run_to_the_last_bit(
    tmp_path: Path, fresh: Fresh, cache: Path, method: str
) -> None:
    settings = replace(SETTINGS, method=method)
    plain = start(tmp_path / "plain", fresh(), cache, settings)
    frugal = start(tmp_path / "frugal", fresh(), cache, replace(settings, save_memory=True, offload=True))
    assert same(weights(plain), weights(frugal))
    assert plain.history == frugal.history


def test_the_unet_alone_is_compiled_and_only_when_asked(
    tmp_path: Path, fresh: Fresh, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))
    backbone = fresh()
    plain = start(tmp_path / "plain", fresh(), cache, SETTINGS)
    assert not compiled
    other = start(tmp_path / "compiled", backbone, cache, replace(SETTINGS, compile=True))
    assert compiled == [backbone.unet]
    assert weights(plain).keys() == weights(other).keys()


class FullMemory(CountingRecognizer):
    """Runs out of memory at a call."""

    at = 6

    def features(self, crops: torch.Tensor) -> torch.Tensor:
        if self.calls == self.at:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().features(crops)


def full_at_last() -> FullMemory:
    one = recognizer(0)
    return FullMemory(one.network, name=one.name, family=one.family, spec=one.spec)


def test_a_full_memory_names_the_next_plan_and_the_run_goes_on_under_it(
    tmp_path: Path, fresh: Fresh, cache: Path
) -> None:
    settings = replace(SETTINGS, decoupling=replace(SETTINGS.decoupling, micro_batch=1))
    with pytest.raises(TrainingError, match=r"--memory 32g: it goes on") as caught:
        start(tmp_path / "run", fresh(), cache, settings, surrogates=[full_at_last(), recognizer(1)])
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)
    assert list((tmp_path / "run" / "checkpoint").iterdir())
    under = applied(PLANS["32g"], settings)
    assert without_memory(under) == without_memory(settings)
    begun: list[int] = []

    def progress(stage: str, done: int, total: int, **figures: float) -> None:
        if stage == "personalization":
            begun.append(done)

    resumed = start(tmp_path / "run", fresh(), cache, under, progress=progress)
    assert begun[0] > 1
    whole = start(tmp_path / "whole", fresh(), cache, settings)
    expected = weights(whole)
    # One learning rate of 1e-3 a step: a rounding that turns a sign would show as 2e-3.
    furthest = max((value - expected[name]).abs().max().item() for name, value in weights(resumed).items())
    assert furthest < 1e-4


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail at alloc_cpu.cpp] . DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_every_kind_of_full_memory_is_known(
    tmp_path: Path, backbone: Backbone, cache: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(backbone, "encode", full)
    with pytest.raises(TrainingError, match="memory"):
        start(tmp_path / "run", backbone, cache)


def test_other_errors_pass_as_they_are(
    tmp_path: Path, backbone: Backbone, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("sizes do not match")

    monkeypatch.setattr(backbone, "encode", broken)
    with pytest.raises(RuntimeError, match="sizes"):
        start(tmp_path / "run", backbone, cache)

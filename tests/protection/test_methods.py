"""What holds for every method: ball and range at every step, seeds, weights, resuming, counting."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from torch import Tensor, nn

from personalization.fakes import photos
from protection.runs import ASCENDING, settings, start
from visard.budget import Budget
from visard.cli.protect import Method as Names
from visard.diffusion.backbone import Backbone
from visard.errors import InputError, TrainingError
from visard.protection.ascent import Ascent, Objective
from visard.protection.methods import METHODS, find_method
from visard.protection.run import Run, budget_of, protected_photos

Fresh = Callable[[], Backbone]
CHANGES = {"radius": 0.02, "step": 0.015}


@dataclass
class Recorded:
    """What one whole run of a method has been seen to do."""

    run: Run
    projected: list[Tensor] = field(default_factory=list)
    gradients: list[Tensor] = field(default_factory=list)
    rounds: int = 0


def watch(patch: pytest.MonkeyPatch, projected: list[Tensor], gradients: list[Tensor]) -> None:
    """Have every projection and every gradient of photos written down."""
    project, gradient = Budget.project, Ascent.gradient

    def watched_project(self: Budget, images: Tensor, centre: Tensor) -> Tensor:
        projected.append(project(self, images, centre))
        return projected[-1]

    def watched_gradient(
        self: Ascent, images: Tensor, objective: Objective, parameters: Sequence[nn.Parameter] = ()
    ) -> tuple[Tensor, float]:
        found = gradient(self, images, objective, parameters)
        gradients.append(found[0])
        return found

    patch.setattr(Budget, "project", watched_project)
    patch.setattr(Ascent, "gradient", watched_gradient)


@pytest.fixture(scope="session")
def recorded(base: Backbone, cache: Path) -> Callable[[str], Recorded]:
    """Each method run through once."""
    done: dict[str, Recorded] = {}

    def record(method: str) -> Recorded:
        if method not in done:
            done[method] = seen = Recorded(start(copy.deepcopy(base), cache, method, **CHANGES))
            with pytest.MonkeyPatch.context() as patch:
                watch(patch, seen.projected, seen.gradients)
                seen.rounds = len(list(seen.run))
            seen.run.close()
        return done[method]

    return record


@pytest.mark.parametrize("method", METHODS)
def test_every_step_stays_in_the_ball_and_the_range(recorded: Callable[[str], Recorded], method: str) -> None:
    seen = recorded(method)
    assert len(seen.projected) >= (1 if method == "random" else 4)
    for image in (image for each in seen.projected for image in each):
        assert min((image - photo).abs().max() for photo in photos(2)) <= 0.02 + 1e-6
        assert image.abs().max() <= 1
    change = (seen.run.images - photos(2)).abs()
    assert change.amax(dim=(1, 2, 3)).tolist() == pytest.approx([0.02, 0.02], abs=1e-6)
    assert change.mean() > 0.005


@pytest.mark.parametrize("method", METHODS)
def test_the_model_keeps_its_weights_and_no_gradient(
    recorded: Callable[[str], Recorded], base: Backbone, method: str
) -> None:
    after = recorded(method).run.task.backbone
    for name, network in base.networks.items():
        left = dict(after.networks[name].named_parameters())
        for each, parameter in network.named_parameters():
            assert torch.equal(left[each], parameter)
            assert left[each].grad is None
            assert not left[each].requires_grad


@pytest.mark.parametrize("method", METHODS)
def test_a_run_stopped_after_any_round_ends_at_the_same_bit(
    recorded: Callable[[str], Recorded], fresh: Fresh, cache: Path, method: str
) -> None:
    whole = recorded(method)
    stopped = start(fresh(), cache, method, **CHANGES)
    for done in stopped:
        if done == (whole.rounds + 1) // 2:
            break
    resumed = start(fresh(), cache, method, **CHANGES)
    resumed.restore(stopped.snapshot())
    for _ in resumed:
        pass
    assert torch.equal(resumed.images, whole.run.images)
    assert resumed.task.done == resumed.task.total == whole.run.task.done == whole.run.method.steps


@pytest.mark.parametrize("method", ["random", "advdm", "aspl"])
def test_another_seed_gives_other_photos(
    recorded: Callable[[str], Recorded], fresh: Fresh, cache: Path, method: str
) -> None:
    told = settings(method, seed=1, **CHANGES)
    other = protected_photos(photos(2), fresh(), told, clean=photos(3, seed=9), cache=cache)
    assert not torch.equal(other, recorded(method).run.images)


@pytest.mark.parametrize("method", [name for name in ASCENDING if name != "anti-diffusion"])
def test_the_micro_batch_changes_memory_and_not_the_gradient(
    recorded: Callable[[str], Recorded], fresh: Fresh, cache: Path, method: str
) -> None:
    """Of the first step that moves both photos: Anti-Diffusion has none, SimAC's searches come before."""
    run, gradients = start(fresh(), cache, method, micro_batch=1, **CHANGES), list[Tensor]()
    with pytest.MonkeyPatch.context() as patch:
        watch(patch, [], gradients)
        while all(len(each) < 2 for each in gradients):
            next(iter(run))
    both = (gradients, recorded(method).gradients)
    one, other = (next(each for each in found if len(each) == 2) for found in both)
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("processor", [AttnProcessor, AttnProcessor2_0])
@pytest.mark.parametrize("method", ASCENDING)
def test_saving_memory_changes_nothing(fresh: Fresh, cache: Path, method: str, processor: type) -> None:
    made = []
    for save_memory in (False, True):
        backbone = fresh()
        backbone.unet.set_attn_processor(processor())
        run = start(backbone, cache, method, save_memory=save_memory, **CHANGES)
        for _ in run:
            pass
        made.append(run.images)
        assert backbone.unet.is_gradient_checkpointing == save_memory
    assert torch.equal(*made)


def test_every_method_says_what_it_is() -> None:
    for name, method in METHODS.items():
        assert method.title
        assert method.paper
        assert method.budget.radius > 0
        assert (method.budget.step > 0) == (name != "random")
    assert [each.value for each in Names] == list(METHODS)


def test_a_budget_is_the_methods_own_unless_told() -> None:
    assert budget_of(settings("aspl")) == Budget(0.05, 0.005)
    assert budget_of(settings("simac")) == Budget(16 / 255, 0.005)
    assert budget_of(settings("anti-diffusion")) == Budget(0.05, 0.002)
    assert budget_of(settings("advdm")) == Budget(2 * 8 / 255, 2 * 2 / 255)
    assert budget_of(settings("aspl", radius=0.08)) == Budget(0.08, 0.005)
    assert budget_of(settings("aspl", step=0.01)) == Budget(0.05, 0.01)


def test_what_cannot_work_is_said(backbone: Backbone) -> None:
    with pytest.raises(InputError, match="no method 'aspi'"):
        find_method("aspi")
    for changes, message in (
        ({"radius": -0.1}, "radius is -0.1"),
        ({"methods": {"aspl": {"rounds": -1}}}, "rounds is -1"),
        ({"methods": {"aspl": {"round": 1}}}, "methods.aspl.round"),
    ):
        with pytest.raises(InputError, match=message):
            Run(settings("aspl", surrogate={"prior_weight": 0.0}, **changes), photos(1), backbone)
    with pytest.raises(InputError, match="this model needs"):
        protected_photos(torch.zeros(2, 3, 16, 16), backbone, settings("random"))
    with pytest.raises(InputError, match="There are 0 photos"):
        protected_photos(photos(1)[:0], backbone, settings("random"))
    with pytest.raises(InputError, match="outside"):
        protected_photos(photos(1) * 1.5, backbone, settings("random"))
    with pytest.raises(InputError, match="at least 1"):
        Run(
            settings("simac", surrogate={"prior_weight": 0.0}, methods={"simac": {"window": 0}}),
            photos(1),
            backbone,
        )


def test_a_gradient_that_is_no_number_stops_the_run(backbone: Backbone, cache: Path) -> None:
    run = start(backbone, cache, "advdm")
    with torch.no_grad():
        backbone.unet.conv_out.bias[0] = torch.nan
    with pytest.raises(TrainingError, match="not a number"):
        next(iter(run))

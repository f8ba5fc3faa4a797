"""Released code differs from the paper in exactly the ways that are stated, and in no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from personalization.fakes import photos
from protection.runs import start
from visard.diffusion.backbone import Backbone
from visard.personalization.decoupling import Noise
from visard.personalization.fine_tuning import FineTuning
from visard.protection.anti_diffusion import AntiDiffusion
from visard.protection.aspl import Aspl
from visard.protection.methods import METHODS
from visard.protection.run import Run
from visard.protection.simac import Simac
from visard.protection.surrogate import Surrogate

Fresh = Callable[[], Backbone]
SAME = [name for name, method in METHODS.items() if not method.released]
SLOW = {"surrogate": {"learning_rate": 5e-7}}


def images_of(run: Run) -> torch.Tensor:
    for _ in run:
        pass
    return run.images


def surrogate_of(run: Run) -> Surrogate:
    assert isinstance(run.method, (Aspl, AntiDiffusion))
    return run.method.surrogate


def test_the_differences_are_those_of_the_specification() -> None:
    counts = {name: len(method.released) for name, method in METHODS.items() if method.released}
    assert counts == {"aspl": 3, "targeted-aspl": 3, "simac": 4, "anti-diffusion": 4}


@pytest.mark.parametrize("method", SAME)
def test_without_a_known_difference_both_are_the_same(fresh: Fresh, cache: Path, method: str) -> None:
    both = [images_of(start(fresh(), cache, method, fidelity=each)) for each in ("paper", "released")]
    assert torch.equal(*both)


@pytest.mark.parametrize("method", ["aspl", "targeted-aspl", "simac"])
def test_the_released_surrogate_is_frozen_unclipped_and_sees_three_photos(
    fresh: Fresh, cache: Path, method: str
) -> None:
    visits: dict[str, list[int]] = {}
    moved: dict[str, float] = {}
    for fidelity in ("paper", "released"):
        run = start(fresh(), cache, method, photos(5), fidelity=fidelity, **SLOW)
        assert isinstance(run.method, Aspl)
        surrogate = run.method.surrogate
        faulty = fidelity == "released"
        assert {each.dtype for each in surrogate.parameters.values()} == {
            torch.bfloat16 if faulty else torch.float32
        }
        assert surrogate.settings.clip_norm == (0.0 if faulty else 1.0)
        visits[fidelity] = []
        for _ in range(4):
            chosen = surrogate.photos("perturbed", photos(5), ["a photo"] * 5).order.take(3)
            visits[fidelity] += chosen
        before = {name: each.detach().clone() for name, each in surrogate.parameters.items()}
        surrogate.train(surrogate.photos("clean", photos(3), ["a photo"] * 3), 3)
        changed = sum(int((each != before[name]).sum()) for name, each in surrogate.parameters.items())
        moved[fidelity] = changed / sum(each.numel() for each in before.values())
    assert visits["released"] == [0, 1, 2] * 4
    assert set(visits["paper"]) == set(range(5))
    assert moved["paper"] > 0.5
    assert moved["released"] < 0.2
    first, second = (start(fresh(), cache, method, fidelity=each) for each in ("paper", "released"))
    assert first.task.budget == second.task.budget
    assert first.method.steps == second.method.steps


@pytest.mark.parametrize(("learning_rate", "least", "most"), [(5e-7, 0.0, 0.2), (5e-4, 0.95, 1.0)])
def test_how_much_of_a_bf16_surrogate_moves_is_up_to_the_learning_rate(
    fresh: Fresh, cache: Path, learning_rate: float, least: float, most: float
) -> None:
    told, moved = {"learning_rate": learning_rate, "weight_decay": 0.0}, {}
    for fidelity in ("paper", "released"):
        surrogate = surrogate_of(start(fresh(), cache, "aspl", fidelity=fidelity, surrogate=told))
        before = {name: each.detach().clone() for name, each in surrogate.parameters.items()}
        surrogate.train(surrogate.photos("clean", photos(3), ["a photo"] * 3), 1)
        changed = [each != before[name] for name, each in surrogate.parameters.items()]
        moved[fidelity] = sum(int(each.sum()) for each in changed)
    assert least <= moved["released"] / moved["paper"] <= most


@pytest.mark.parametrize("method", ["aspl", "targeted-aspl", "simac"])
def test_the_released_surrogate_sees_the_same_class_pictures(fresh: Fresh, cache: Path, method: str) -> None:
    visits: dict[str, list[list[int]]] = {}
    for fidelity in ("paper", "released"):
        run = start(fresh(), cache, method, fidelity=fidelity, prior={"count": 5})
        visits[fidelity] = []
        for _ in range(4):
            class_photos = surrogate_of(run).tuning(FineTuning).class_photos
            assert class_photos is not None
            visits[fidelity].append(class_photos.order.take(3))
    assert visits["released"] == [[0, 1, 2]] * 4
    assert {each for three in visits["paper"] for each in three} == set(range(5))


def test_the_released_simac_ascends_the_denoising_loss_alone(fresh: Fresh, cache: Path) -> None:
    def added(fidelity: str) -> float:
        """How far what is ascended leaves the gradient of the denoising loss, as a share of that."""
        run = start(fresh(), cache, "simac", fidelity=fidelity)
        method, task = run.method, run.task
        assert isinstance(method, Simac)
        words, noise = task.embed(task.prompts), task.draw(2, "test")
        task.ascent.draw = lambda _: noise
        t = method.timesteps(noise, slice(0, 2))

        def ascended(images: Tensor, noise: Noise, rows: slice) -> Tensor:
            return method.ascended(images, words[rows], noise, rows)

        def plain(images: Tensor, noise: Noise, rows: slice) -> Tensor:
            return task.denoise(images, words[rows], noise, t[rows]).error

        whole, loss = task.ascent.gradient(0.9 * run.images, ascended)
        alone, less = task.ascent.gradient(0.9 * run.images, plain)
        assert loss > less
        return float((whole - alone).norm() / alone.norm())

    assert added("released") == 0
    assert added("paper") > 1e-3


def test_the_released_anti_diffusion_drifts_by_a_radius_each_time(fresh: Fresh, cache: Path) -> None:
    drift = {}
    for fidelity in ("paper", "released"):
        run = start(fresh(), cache, "anti-diffusion", photos(1), fidelity=fidelity, radius=0.01, step=0.01)
        before = run.images
        for _ in run:
            assert (run.images - before).abs().max() <= (0.02 if fidelity == "paper" else 0.01) + 1e-6
            before = run.images
        drift[fidelity] = (run.images - photos(1)).abs().max().item()
    assert drift["paper"] == pytest.approx(0.01, abs=1e-6)
    assert 0.02 < drift["released"] <= 0.03 + 1e-6


def test_the_released_anti_diffusion_leaves_out_half_of_the_heads(fresh: Fresh, cache: Path) -> None:
    maps = [torch.rand(1, 4, 4, 16), torch.rand(1, 2, 4, 16), torch.rand(1, 4, 16, 16)]
    means = {}
    for fidelity in ("paper", "released"):
        run = start(fresh(), cache, "anti-diffusion", photos(1), fidelity=fidelity)
        assert isinstance(run.method, AntiDiffusion)
        means[fidelity] = run.method.mean_map(maps)
    torch.testing.assert_close(means["paper"], torch.cat(maps[:2], dim=1).mean(1))
    torch.testing.assert_close(means["released"], torch.cat([maps[0][:, 2:], maps[1][:, 1:]], dim=1).mean(1))


def test_the_released_anti_diffusion_disturbs_a_hundred_times_the_map(fresh: Fresh, cache: Path) -> None:
    attention = torch.tensor([[[0.002, 0.004], [0.5, 0.006]]])
    means = {}
    for fidelity in ("paper", "released"):
        run = start(fresh(), cache, "anti-diffusion", photos(1), fidelity=fidelity)
        assert isinstance(run.method, AntiDiffusion)
        means[fidelity] = float(run.method.semantic(attention))
    assert means["paper"] == pytest.approx((0.002**2 + 0.004**2 + 0.5**2 + 0.006**2) / 4)
    assert means["released"] == pytest.approx((0.2**2 + 0.4**2 + 1.0 + 0.6**2) / 4)


def test_the_released_anti_diffusion_never_clips(fresh: Fresh, cache: Path) -> None:
    limits = {}
    for fidelity in ("paper", "released"):
        run = start(fresh(), cache, "anti-diffusion", photos(1), fidelity=fidelity)
        limits[fidelity] = surrogate_of(run).tuning(FineTuning).settings.clip_norm
    assert limits == {"paper": 1.0, "released": 0.0}

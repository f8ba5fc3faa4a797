"""What each method ascends: its gradient against a numerical one in float64, and its parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor

from personalization.fakes import photos
from protection.runs import ASCENDING, settings, start
from visard.budget import Budget
from visard.diffusion.backbone import Backbone
from visard.errors import InputError
from visard.personalization.decoupling import Noise
from visard.protection.anti_diffusion import AntiDiffusion
from visard.protection.ascent import Ascent, Objective
from visard.protection.aspl import Aspl
from visard.protection.attention import cross_attention
from visard.protection.caat import Caat
from visard.protection.run import Run
from visard.protection.simac import Simac, last_features
from visard.protection.targeted_aspl import TargetedAspl
from visard.protection.targets import chequers, grey


def double(backbone: Backbone, cache: Path, method: str, **changes: object) -> Run:
    """A run in float64, its photos away from the ball's centre."""
    for network in backbone.networks.values():
        network.double()
    run = start(backbone, cache, method, surrogate={"learning_rate": 1e-3, "prior_weight": 0.0}, **changes)
    run.task.originals = run.task.originals.double()
    noise = torch.randn(run.images.shape, generator=torch.Generator().manual_seed(5))
    run.images = (0.9 * run.task.originals + 0.05 * noise.double()).clamp(-0.99, 0.99)
    return run


@contextmanager
def objective_of(run: Run) -> Iterator[Objective]:
    method = run.method
    if isinstance(method, AntiDiffusion):
        with cross_attention(run.task.backbone.unet) as watch:
            yield method.disturbance(watch)
    elif isinstance(method, Aspl):
        words = run.task.embed(run.task.prompts)
        yield lambda images, noise, rows: method.ascended(images, words[rows], noise, rows)
    else:
        yield method.objective  # type: ignore[attr-defined]


def fixed(run: Run, count: int) -> Noise:
    """One draw that every step of the run's ascent gets."""
    noise = run.task.draw(count, "test")
    run.task.ascent.draw = lambda _: noise
    return noise


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("method", ASCENDING)
def test_the_gradient_is_the_numerical_one(
    backbone: Backbone, cache: Path, method: str, prediction: str
) -> None:
    backbone.schedule.prediction_type = prediction
    run = double(backbone, cache, method)
    images = run.images[:1] if method == "anti-diffusion" else run.images
    noise = fixed(run, len(images))
    with objective_of(run) as objective:
        gradient, loss = run.task.ascent.gradient(images, objective)

        def value(at: Tensor) -> float:
            with torch.no_grad():
                return float(objective(at, noise, slice(0, len(at))).sum())

        assert loss == pytest.approx(value(images) / len(images), rel=1e-9)
        any_way = torch.randn(images.shape, generator=torch.Generator().manual_seed(6)).double()
        for direction in (gradient.sign(), any_way):
            slope = (value(images + 1e-6 * direction) - value(images - 1e-6 * direction)) / 2e-6
            there = 1e-4 * (gradient * direction).abs().sum().item()
            assert slope == pytest.approx((gradient * direction).sum().item(), abs=there)
        step = Budget(radius=1.0, step=1e-6)
        run.task.ascent.budget = step
        assert value(run.task.ascent(images, images, objective, steps=1)) > value(images)


def test_keys_and_values_get_the_gradient_of_the_mean_loss(backbone: Backbone, cache: Path) -> None:
    run = double(backbone, cache, "caat", micro_batch=1)
    method = run.method
    assert isinstance(method, Caat)
    assert all(".attn2.to_k." in name or ".attn2.to_v." in name for name in method.parameters)
    noise, parameters = fixed(run, 2), list(method.parameters.values())
    before = [each.detach().clone() for each in parameters]
    for each in parameters:
        each.requires_grad_(True)
    loss = method.objective(run.images, noise, slice(0, 2)).mean()
    expected = torch.autograd.grad(loss, parameters)
    run.task.ascent.gradient(run.images, method.objective, parameters)
    for each, wanted in zip(parameters, expected, strict=True):
        assert each.grad is not None
        torch.testing.assert_close(each.grad, wanted, rtol=1e-6, atol=1e-12)
    method.tuning.optimizer.zero_grad(set_to_none=True)
    moved = method.round(0, run.images)
    assert not torch.equal(moved, run.images)
    assert any(not torch.equal(each, old) for each, old in zip(parameters, before, strict=True))


def test_the_targeted_loss_is_nothing_at_the_target(backbone: Backbone, cache: Path) -> None:
    """A network that is never wrong leaves z_t-1 of the photo: that of the target for the target itself."""
    run = double(backbone, cache, "targeted-aspl")
    method, words = run.method, run.task.embed(run.task.prompts[:1])
    assert isinstance(method, TargetedAspl)
    noise = run.task.draw(1, "test")
    noise = Noise(torch.zeros_like(noise.posterior), noise.diffusion, noise.uniform)
    schedule = run.task.backbone.schedule
    for picture, nothing in ((run.task.target[None].double(), True), (run.images[:1], False)):
        seen = run.task.denoise(picture, words, noise)
        perfect = schedule.target(seen.z0, noise.diffusion, seen.t)
        exact = type(seen)(seen.z0, seen.t, seen.zt, perfect, seen.error)
        assert (method.distance(exact, noise).item() < 1e-12) == nothing


def test_the_search_keeps_the_timesteps_with_the_largest_gradients(
    backbone: Backbone, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"simac": {"rounds": 1, "probes": 5, "window": 20, "keep": 100}}
    run = start(backbone, cache, "simac", methods=options)
    method = run.method
    assert isinstance(method, Simac)
    monkeypatch.setattr(method, "at", lambda t, words: int(t))
    asked: list[int] = []

    def gradient(self: Ascent, images: Tensor, objective: int) -> tuple[Tensor, float]:
        asked.append(objective)
        return torch.full_like(images, objective / 1000), 0.0

    monkeypatch.setattr(Ascent, "gradient", gradient)
    kept = method.search(0)
    assert 60 <= kept.sum() <= 100
    assert kept.nonzero().float().mean() > 700
    assert len(asked) % 6 == 0
    for five, step in zip((asked[i : i + 5] for i in range(0, len(asked), 6)), asked[5::6], strict=True):
        assert step == max(five)
    method.kept[1] = kept
    for _ in range(50):
        assert kept[method.timesteps(run.task.draw(1, "test"), slice(1, 2))].all()


def test_the_search_ends_before_it_has_dropped_every_timestep(backbone: Backbone, cache: Path) -> None:
    for window in (240, 499, 600):
        options = {"simac": {"rounds": 1, "probes": 2, "window": window, "keep": 1}}
        run = start(backbone, cache, "simac", methods=options)
        method = run.method
        assert isinstance(method, Simac)
        kept = method.search(0)
        assert kept.any()
        method.kept[0] = kept
        assert kept[method.timesteps(run.task.draw(1, "test"), slice(0, 1))].all()


def test_the_last_block_gives_its_features_in_order(backbone: Backbone) -> None:
    layers = backbone.unet.up_blocks[-1].resnets
    words = backbone.embed_text(["a photo"])
    with last_features(backbone.unet) as seen, torch.no_grad():
        backbone.predict(torch.zeros(1, 4, 4, 4), torch.tensor([5]), words)
    assert len(seen) == len(layers)
    assert all(not layer._forward_hooks for layer in layers)


def test_watched_attention_computes_what_it_did(backbone: Backbone) -> None:
    backbone.freeze()
    words = backbone.embed_text(["a photo of sks person"] * 2)
    given = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([5, 500]), words
    plain, before = backbone.predict(*given), dict(backbone.unet.attn_processors)
    with cross_attention(backbone.unet) as watch:
        with watch.maps() as maps:
            watched = backbone.predict(*given)
        seen = len(maps)
        backbone.predict(*given)
    torch.testing.assert_close(watched, plain, rtol=1e-4, atol=1e-5)
    assert backbone.unet.attn_processors == before
    assert len(maps) == seen > 0
    for each in maps:
        assert each.shape[0] == 2
        assert each.shape[3] == words.text.shape[1]
        torch.testing.assert_close(each.sum(3), torch.ones_like(each.sum(3)))


def test_maps_that_the_model_has_not_are_named(backbone: Backbone, cache: Path) -> None:
    run = start(backbone, cache, "anti-diffusion", methods={"anti-diffusion": {"map_side": 16}})
    with pytest.raises(InputError, match="no attention maps of 16 x 16") as error:
        next(iter(run))
    assert "one of 2" in error.value.advice


def test_targets_are_pictures() -> None:
    picture = chequers(128)
    assert picture.shape == (3, 128, 128)
    assert set(picture.flatten().tolist()) == {-1.0, 1.0}
    assert picture.mean().abs() < 1e-6
    assert not torch.equal(picture[:, :, :8], picture[:, :, 8:16])
    assert grey(8).abs().max() == 0


def test_captions_are_as_many_as_the_photos(backbone: Backbone) -> None:
    with pytest.raises(ValueError, match="3 captions for 2 photos"):
        Run(settings("random"), photos(2), backbone, captions=["a"] * 3)


def test_what_is_to_be_protected_must_be_pictures(backbone: Backbone) -> None:
    for wrong, message in (
        (photos(2)[:, :1], "this model needs"),
        (photos(2)[:, :, :16], "this model needs"),
        (photos(1)[0], "this model needs"),
        (photos(2)[:0], "There are 0 photos"),
        (1.5 * photos(2), "outside"),
        (photos(2) / 0, "outside"),
    ):
        with pytest.raises(InputError, match=message):
            Run(settings("random"), wrong, backbone)
        with pytest.raises(InputError, match=message):
            Run(settings("random"), photos(2), backbone, clean=wrong)

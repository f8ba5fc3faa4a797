"""Stage I and Stage II: gradients against numerical ones, and what a step may touch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from personalization.fakes import LANDMARKS, FakeDetector, photos, recognizer
from visard.budget import Budget
from visard.diffusion.backbone import Backbone
from visard.errors import TrainingError
from visard.personalization.decoupling import Decoupling, Stage, StepFigures
from visard.personalization.fine_tuning import autocast
from visard.personalization.identity import IdentityLoss, prototypes
from visard.personalization.settings import DecouplingSettings

SETTINGS = DecouplingSettings(tau=0.1, micro_batch=2)


def build(backbone: Backbone, settings: DecouplingSettings = SETTINGS, *, double: bool = False, **options):  # type: ignore[no-untyped-def]
    backbone.freeze()
    models = [recognizer(0), recognizer(1)]
    if double:
        for each in (*models, *backbone.networks.values()):
            each.double()
    people = prototypes(models, photos(3, seed=5).double() if double else photos(3, seed=5), [LANDMARKS] * 3)
    identity = IdentityLoss(models, FakeDetector(), people, tau=settings.tau)
    return Decoupling(
        backbone,
        settings,
        identity=options.pop("identity", identity),
        fallback=[LANDMARKS] * 4,
        autocast=autocast(backbone, "fp32"),
        generator=torch.Generator().manual_seed(0),
        **options,
    )


def loss_at(decoupling: Decoupling, images: Tensor, text: Tensor, stage: Stage) -> float:
    """The loss of a step whose draws are those of a fresh generator."""
    decoupling.generator.manual_seed(0)
    noise = next(decoupling.draw(images))
    if stage is Stage.FIDELITY:
        return decoupling.reconstruction_loss(images, text, noise).sum().item()
    assert decoupling.identity is not None
    return (
        decoupling.identity(decoupling.denoised(images, text, noise), decoupling.fallback[: len(images)])
        .loss.sum()
        .item()
    )


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("stage", [Stage.FIDELITY, Stage.IDENTITY])
def test_a_small_step_lowers_the_loss_as_the_numerical_gradient_says(
    backbone: Backbone, stage: Stage, prediction: str
) -> None:
    backbone.schedule.prediction_type = prediction
    decoupling = build(backbone, double=True)
    images = photos(2).double() * 0.9
    text = decoupling.embed(["a photo of sks person"] * 2)
    step = 1e-6
    decoupling.budget = Budget(radius=1.0, step=step)
    with torch.no_grad():
        before = loss_at(decoupling, images, text, stage)
    decoupling.generator.manual_seed(0)
    moved, _ = decoupling.step(images, images, text, stage)
    direction = (moved - images) / step
    with torch.no_grad():
        after = loss_at(decoupling, moved, text, stage)
        ahead = loss_at(decoupling, images + 1e-5 * direction, text, stage)
        behind = loss_at(decoupling, images - 1e-5 * direction, text, stage)
    numerical = (ahead - behind) / 2e-5
    assert after < before
    assert after - before == pytest.approx(numerical * step, rel=1e-3)
    # Sign descent is steepest in the l-infinity norm: its slope is minus the gradient's l1 norm.
    leaf = images.clone().requires_grad_(True)
    decoupling.generator.manual_seed(0)
    noise = next(decoupling.draw(images))
    if stage is Stage.FIDELITY:
        loss = decoupling.reconstruction_loss(leaf, text, noise)
    else:
        assert decoupling.identity is not None
        loss = decoupling.identity(decoupling.denoised(leaf, text, noise), decoupling.fallback[:2]).loss
    gradient = torch.autograd.grad(loss.sum(), leaf)[0]
    assert numerical == pytest.approx(-gradient.abs().sum().item(), rel=1e-5)


@pytest.mark.parametrize("stage", list(Stage))
def test_every_step_stays_in_the_ball_and_the_range(backbone: Backbone, stage: Stage) -> None:
    decoupling = build(backbone, replace(SETTINGS, step=0.05, radius=0.08))
    originals = photos()
    images, text = originals, decoupling.embed(["a photo of sks person"] * 4)
    for _ in range(4):
        images, _ = decoupling.step(images, originals, text, stage)
        assert (images - originals).abs().max() <= 0.08 + 1e-6
        assert images.abs().max() <= 1
    assert (images - originals).abs().mean() > 0.02


def test_stage_one_never_calls_a_recogniser(backbone: Backbone) -> None:
    decoupling = build(backbone, identity=None)
    text = decoupling.embed(["a photo of sks person"] * 4)
    _, figures = decoupling.step(photos(), photos(), text, Stage.FIDELITY)
    assert len(figures.reconstruction) == 4
    assert figures.found == 0
    with pytest.raises(ValueError, match="identity loss"):
        decoupling.step(photos(), photos(), text, Stage.IDENTITY)


def test_stage_two_never_evaluates_the_reconstruction(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoupling = build(backbone)
    monkeypatch.setattr(decoupling, "reconstruction_loss", None)
    text = decoupling.embed(["a photo of sks person"] * 4)
    _, figures = decoupling.step(photos(), photos(), text, Stage.IDENTITY)
    assert figures.reconstruction == []
    assert figures.found == len(figures.linkability) == 4


def test_no_parameter_gradient_is_computed_or_stored(backbone: Backbone) -> None:
    decoupling = build(backbone)
    text = decoupling.embed(["a photo of sks person"] * 4)
    decoupling.step(photos(), photos(), text, Stage.JOINT)
    assert decoupling.identity is not None
    for network in (*backbone.networks.values(), *decoupling.identity.recognizers):
        for parameter in network.parameters():
            assert parameter.grad is None
            assert not parameter.requires_grad


def test_the_micro_batch_changes_memory_and_not_the_result(backbone: Backbone) -> None:
    results = []
    for size in (1, 3, 4):
        decoupling = build(backbone, replace(SETTINGS, micro_batch=size, draws=2))
        text = decoupling.embed(["a photo of sks person"] * 4)
        noise = [decoupling.draw(photos()[rows]) for rows in decoupling._micro_batches(4)]
        results.append(torch.cat([torch.stack([each.diffusion for each in draws], 1) for draws in noise]))
        moved, figures = decoupling.step(photos(), photos(), text, Stage.IDENTITY)
        assert figures.found == 8
        assert moved.shape == (4, 3, 32, 32)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize("stage", [Stage.FIDELITY, Stage.IDENTITY])
def test_the_gradient_of_a_photo_does_not_depend_on_its_company(backbone: Backbone, stage: Stage) -> None:
    gradients = []
    for size in (1, 3, 4):
        decoupling = build(backbone, replace(SETTINGS, micro_batch=size), double=True)
        text = decoupling.embed(["a photo of sks person"] * 4)
        images, faces = photos().double(), decoupling.fallback
        parts = [
            decoupling._gradient(images[rows], text[rows], faces[rows], stage, StepFigures())
            for rows in decoupling._micro_batches(4)
        ]
        gradients.append(torch.cat(parts))
    largest = gradients[0].abs().max()
    for other in gradients[1:]:  # what is left in float64 is rounding
        assert (other - gradients[0]).abs().max() < 1e-9 * largest


def test_more_draws_average_the_gradient(backbone: Backbone) -> None:
    single, double = build(backbone), build(backbone, replace(SETTINGS, draws=2))
    text = single.embed(["a photo of sks person"])
    image, figures = photos(1), None
    single.generator.manual_seed(3)
    double.generator.manual_seed(3)
    from visard.personalization.decoupling import StepFigures

    figures = StepFigures()
    one, two = (single._gradient(image, text, [LANDMARKS], Stage.JOINT, figures) for _ in range(2))
    both = double._gradient(image, text, [LANDMARKS], Stage.JOINT, figures)
    torch.testing.assert_close(both, (one + two) / 2)


def test_timesteps_of_stage_two_stay_below_t_max(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    decoupling = build(backbone, replace(SETTINGS, t_max=3, draws=8))
    seen: list[int] = []
    original = backbone.predict

    def predict(zt: Tensor, t: Tensor, text: Tensor) -> Tensor:
        seen.extend(t.tolist())
        return original(zt, t, text)

    monkeypatch.setattr(backbone, "predict", predict)
    text = decoupling.embed(["a photo of sks person"] * 4)
    decoupling.step(photos(), photos(), text, Stage.IDENTITY)
    assert set(seen) == set(range(3))
    seen.clear()
    decoupling.step(photos(), photos(), text, Stage.FIDELITY)
    assert max(seen) > 700
    assert min(seen) < 300


def test_a_photo_without_a_face_skips_the_step(backbone: Backbone) -> None:
    decoupling = build(backbone, replace(SETTINGS, micro_batch=1))
    assert decoupling.identity is not None
    decoupling.identity.detector = FakeDetector(script=[[[]]] * 4)
    decoupling.fallback = [None, LANDMARKS, LANDMARKS, LANDMARKS]
    text = decoupling.embed(["a photo of sks person"] * 4)
    moved, figures = decoupling.step(photos(), photos(), text, Stage.IDENTITY)
    assert (figures.found, figures.fallback, figures.skipped) == (0, 3, 1)
    assert torch.equal(moved[0], photos()[0])
    assert not torch.equal(moved[1], photos()[1])


def test_a_gradient_that_is_no_number_stops_the_run(backbone: Backbone) -> None:
    decoupling = build(backbone, decode=lambda latents: torch.log(-latents.abs()).repeat(1, 1, 8, 8)[:, :3])
    with pytest.raises(TrainingError, match="not a number"):
        decoupling.step(photos(), photos(), decoupling.embed(["a photo"] * 4), Stage.IDENTITY)


def test_recomputing_activations_changes_nothing(backbone: Backbone) -> None:
    text = build(backbone).embed(["a photo of sks person"] * 4)
    plain, _ = build(backbone).step(photos(), photos(), text, Stage.JOINT)
    backbone.checkpoint_gradients()
    frugal, _ = build(backbone).step(photos(), photos(), text, Stage.JOINT)
    assert torch.equal(plain, frugal)

"""Fine-tuning: the loss of eq. 4, its optimiser, its data order, and when it stops."""

from __future__ import annotations

import itertools

import pytest
import torch

from personalization.fakes import photos
from visard.diffusion.backbone import Backbone, Posterior
from visard.errors import TrainingError
from visard.personalization.encoding import encoded
from visard.personalization.fine_tuning import FineTuning, PhotoSet, trainable_parameters
from visard.personalization.settings import FineTuningSettings, LoraSettings, PersonalizationSettings
from visard.personalization.streams import DataOrder, Streams

PROMPTS = ["a photo of sks person"] * 4


def build(backbone: Backbone, *, prior: bool = True, **options):  # type: ignore[no-untyped-def]
    tuning = options.pop("fine_tuning", FineTuningSettings(learning_rate=1e-3, steps=20))
    settings = PersonalizationSettings(fine_tuning=tuning, **options)
    streams = Streams(0)
    parameters = trainable_parameters(backbone, settings, streams["lora"])
    reference = PhotoSet(encoded(backbone, photos()), PROMPTS, DataOrder(4, streams["order"]))
    others = PhotoSet(
        encoded(backbone, photos(3, 7)), ["a photo of person"] * 3, DataOrder(3, streams["class"])
    )
    return (
        FineTuning(
            backbone,
            parameters,
            tuning,
            learning_rate=settings.learning_rate,
            class_photos=others if prior else None,
            generator=streams["fine-tuning"],
        ),
        reference,
    )


def copies(fine_tuning: FineTuning) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in fine_tuning.parameters.items()}


def test_dreambooth_trains_unet_and_text_encoder(backbone: Backbone) -> None:
    fine_tuning, reference = build(backbone)
    before = copies(fine_tuning)
    vae = {name: value.clone() for name, value in backbone.vae.state_dict().items()}
    fine_tuning.step(reference)
    moved = {
        name.split(".")[0]
        for name, value in copies(fine_tuning).items()
        if not torch.equal(value, before[name])
    }
    assert moved == {"unet", "text_encoder"}
    assert all(torch.equal(value, vae[name]) for name, value in backbone.vae.state_dict().items())


def test_the_text_encoder_stays_when_told_and_is_then_read_once(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine_tuning, reference = build(backbone, train_text_encoder=False)
    assert not any(name.startswith("text_encoder") for name in fine_tuning.parameters)
    asked: list[str] = []
    embed = backbone.embed_text
    monkeypatch.setattr(backbone, "embed_text", lambda prompts: asked.extend(prompts) or embed(prompts))
    for _ in range(3):
        fine_tuning.step(reference)
    assert sorted(asked) == ["a photo of person", "a photo of sks person"]


def test_lora_trains_its_factors_alone(backbone: Backbone) -> None:
    plain = {name: value.clone() for name, value in backbone.unet.state_dict().items()}
    fine_tuning, reference = build(backbone, method="lora", lora=LoraSettings(rank=2, learning_rate=1e-2))
    assert all("lora" in name for name in fine_tuning.parameters)
    assert {name.split(".")[0] for name in fine_tuning.parameters} == {"unet", "text_encoder"}
    before = copies(fine_tuning)
    fine_tuning.step(reference)
    assert any(not torch.equal(value, before[name]) for name, value in copies(fine_tuning).items())
    after = {name.replace(".base_layer", ""): value for name, value in backbone.unet.state_dict().items()}
    assert all(torch.equal(value, after[name]) for name, value in plain.items())


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_loss_is_equation_four(backbone: Backbone, prediction: str) -> None:
    backbone.schedule.prediction_type = prediction
    tuning = FineTuningSettings(learning_rate=1e-3, steps=20, prior_weight=0.5, clip_norm=0.0)
    fine_tuning, reference = build(backbone, fine_tuning=tuning)
    state = fine_tuning.generator.get_state()
    orders = [reference.order, fine_tuning.class_photos.order]
    order_states = [order.generator.get_state() for order in orders]
    before = copies(fine_tuning)
    losses = fine_tuning.step(reference)

    fine_tuning.generator.set_state(state)
    for order, saved in zip(orders, order_states, strict=True):
        order.generator.set_state(saved)
        order.queue = []
    fine_tuning.restore(before, {})
    instance, words = reference.draw(2, fine_tuning.generator)
    prior, class_words = fine_tuning.class_photos.draw(2, fine_tuning.generator)
    latents = torch.cat([instance, prior])
    noise = torch.randn(latents.shape, generator=fine_tuning.generator)
    t = torch.randint(1000, (4,), generator=fine_tuning.generator)
    schedule, text = backbone.schedule, backbone.embed_text(words + class_words)
    output = backbone.predict(schedule.add_noise(latents, noise, t), t, text)
    error = (output - schedule.target(latents, noise, t)) ** 2
    assert losses.instance == pytest.approx(error[:2].mean().item(), rel=1e-5)
    assert losses.prior == pytest.approx(error[2:].mean().item(), rel=1e-5)


@pytest.mark.parametrize("train_text_encoder", [True, False])
def test_pictures_one_at_a_time_have_the_gradient_of_all_at_once(
    fresh, train_text_encoder: bool, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    found = []
    for size in (0, 1, 3):
        tuning = FineTuningSettings(learning_rate=1e-3, steps=20, micro_batch=size, prior_weight=0.7)
        options = {"fine_tuning": tuning, "train_text_encoder": train_text_encoder}
        fine_tuning, reference = build(fresh(), **options)
        gradients: dict[str, torch.Tensor] = {}

        def keep(fine_tuning=fine_tuning, gradients=gradients) -> None:  # type: ignore[no-untyped-def]
            named = fine_tuning.parameters.items()
            gradients.update({name: each.grad.clone() for name, each in named if each.grad is not None})

        monkeypatch.setattr(fine_tuning.optimizer, "step", keep)
        losses = fine_tuning.step(reference)
        found.append((losses, gradients))
    (losses, whole), *others = found
    largest = max(each.abs().max().item() for each in whole.values())
    for other, gradients in others:
        assert other.instance == pytest.approx(losses.instance, rel=1e-5)
        assert other.prior == pytest.approx(losses.prior, rel=1e-5)
        assert gradients.keys() == whole.keys()
        for name, gradient in gradients.items():  # float32 rounding, on the scale of the largest
            assert (gradient - whole[name]).abs().max() < 1e-5 * largest


def test_one_optimizer_carries_its_moments_over_the_whole_run(backbone: Backbone) -> None:
    fine_tuning, reference = build(backbone)
    for _ in range(3):
        fine_tuning.step(reference)
    _, slots = fine_tuning.state()
    assert {value.item() for name, value in slots.items() if name.endswith("/step")} == {3.0}


def test_outside_a_step_everything_is_frozen(backbone: Backbone) -> None:
    fine_tuning, reference = build(backbone)
    fine_tuning.step(reference)
    for network in backbone.networks.values():
        assert not network.training
        for parameter in network.parameters():
            assert not parameter.requires_grad
            assert parameter.grad is None


def test_a_restored_state_continues_bit_for_bit(fresh) -> None:  # type: ignore[no-untyped-def]
    first, reference = build(fresh())
    first.step(reference)
    weights, slots = first.state()
    weights, slots = ({name: value.clone() for name, value in each.items()} for each in (weights, slots))
    state, order = first.generator.get_state(), reference.order
    second, other = build(fresh())
    second.restore(weights, slots)
    second.generator.set_state(state)
    other.order.queue = list(order.queue)
    other.order.generator.set_state(order.generator.get_state())
    second.class_photos.order.queue = list(first.class_photos.order.queue)
    second.class_photos.order.generator.set_state(first.class_photos.order.generator.get_state())
    for _ in range(2):
        assert first.step(reference) == second.step(other)
    for name, value in copies(first).items():
        assert torch.equal(value, second.parameters[name])


@pytest.mark.parametrize("poison", ["latents", "weights"])
def test_a_loss_that_is_no_number_stops_the_run_before_the_weights_change(
    backbone: Backbone, poison: str
) -> None:
    fine_tuning, reference = build(backbone)
    if poison == "latents":
        reference.posterior = Posterior(reference.posterior.mean * torch.nan, reference.posterior.std)
    else:
        with torch.no_grad():
            backbone.unet.conv_out.weight[0, 0, 0, 0] = torch.inf
    before = copies(fine_tuning)
    with pytest.raises(TrainingError, match="not a number"):
        fine_tuning.step(reference)
    assert all(torch.equal(value, before[name]) for name, value in copies(fine_tuning).items())


def test_bfloat16_runs_the_networks_and_keeps_float32_weights(backbone: Backbone) -> None:
    backbone.unet.to(torch.bfloat16)
    backbone.text_encoder.to(torch.bfloat16)
    tuning = FineTuningSettings(learning_rate=5e-7, steps=20, precision="bf16")
    fine_tuning, reference = build(backbone, fine_tuning=tuning)
    seen: list[torch.dtype] = []
    backbone.unet.conv_out.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    before = copies(fine_tuning)
    fine_tuning.step(reference)
    assert seen == [torch.bfloat16]
    after = copies(fine_tuning)
    assert {value.dtype for value in after.values()} == {torch.float32}
    moved = sum((value != before[name]).sum().item() for name, value in after.items())
    assert moved > 0.5 * sum(value.numel() for value in after.values())


def test_what_a_lora_leaves_frozen_takes_half_the_memory_in_bfloat16(backbone: Backbone) -> None:
    tuning = FineTuningSettings(precision="bf16")
    fine_tuning, reference = build(backbone, method="lora", fine_tuning=tuning)
    networks = (backbone.unet, backbone.text_encoder)
    frozen = {each.dtype for network in networks for each in network.parameters() if each.numel()} - {
        each.dtype for each in fine_tuning.parameters.values()
    }
    assert frozen == {torch.bfloat16}
    assert backbone.vae.dtype == torch.float32
    before = copies(fine_tuning)
    fine_tuning.step(reference)
    after = copies(fine_tuning)
    assert {value.dtype for value in after.values()} == {torch.float32}
    assert any(not torch.equal(value, before[name]) for name, value in after.items())


def test_without_a_prior_there_is_no_class_term(backbone: Backbone) -> None:
    fine_tuning, reference = build(backbone, prior=False)
    assert fine_tuning.step(reference).prior == 0


def test_every_pass_visits_every_photo_once() -> None:
    order = DataOrder(5, torch.Generator().manual_seed(0))
    taken = list(itertools.chain.from_iterable(order.take(2) for _ in range(10)))
    passes = [taken[start : start + 5] for start in range(0, 20, 5)]
    assert all(sorted(each) == list(range(5)) for each in passes)
    assert len({tuple(each) for each in passes}) > 1


def test_streams_are_independent_of_the_order_of_use() -> None:
    one, two = Streams(0), Streams(0)
    one["a"].initial_seed()
    torch.rand(3, generator=one["other"])
    assert torch.equal(torch.rand(3, generator=one["a"]), torch.rand(3, generator=two["a"]))
    assert not torch.equal(torch.rand(3, generator=Streams(1)["a"]), torch.rand(3, generator=Streams(0)["a"]))

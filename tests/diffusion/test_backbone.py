from __future__ import annotations

import logging

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from torch import Tensor

from support.pictures import picture
from visard.diffusion.backbone import Backbone, Posterior
from visard.diffusion.conditioning import Conditioning
from visard.diffusion.lora import add_lora
from visard.errors import ModelError
from visard.images import to_tensor


@pytest.fixture
def images() -> Tensor:
    return torch.stack([to_tensor(picture(seed, 32, 32)) for seed in range(2)])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def estimate(backbone: Backbone, images: Tensor) -> Tensor:
    """encode -> noise -> predict_x0 -> decode, the path of IDDM's Stage II."""
    z0 = backbone.encode(images).sample(generator())
    t = torch.tensor([50, 600])
    zt = backbone.schedule.add_noise(z0, torch.randn(z0.shape, generator=generator(1)).to(z0), t)
    text = backbone.embed_text(["a photo of sks person"] * 2)
    return backbone.decode(backbone.predict_x0(zt, t, text))


def test_shapes_and_dtypes(backbone, images):
    posterior = backbone.encode(images)
    assert posterior.mean.shape == posterior.std.shape == (2, 4, 4, 4)
    assert backbone.decode(posterior.mean).shape == images.shape
    assert backbone.embed_text(["a photo", "a hat", ""]).text.shape == (3, 16, 40 if backbone.is_xl else 16)


def test_latents_are_scaled_on_the_way_in_and_unscaled_on_the_way_out(tiny, images):
    scale = tiny.vae.config.scaling_factor
    gaussian = tiny.vae.encode(images).latent_dist
    posterior = tiny.encode(images)
    torch.testing.assert_close(posterior.mean, gaussian.mean * scale)
    torch.testing.assert_close(posterior.std, gaussian.std * scale)
    torch.testing.assert_close(tiny.decode(posterior.mean), tiny.vae.decode(gaussian.mean).sample)


def test_posterior_draws_follow_the_generator():
    posterior = Posterior(torch.full((1, 4, 64, 64), 3.0), torch.full((1, 4, 64, 64), 0.5))
    first, again, other = (posterior.sample(generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.mean().item() == pytest.approx(3.0, abs=0.02)
    assert first.std().item() == pytest.approx(0.5, abs=0.02)


def test_predict_x0_of_a_perfect_network_is_exact(backbone, images, monkeypatch):
    z0 = backbone.encode(images).mean
    noise, t = torch.randn(z0.shape, generator=generator()), torch.tensor([10, 900])
    zt = backbone.schedule.add_noise(z0, noise, t)
    monkeypatch.setattr(backbone, "predict", lambda *_: backbone.schedule.target(z0, noise, t))
    torch.testing.assert_close(
        backbone.predict_x0(zt, t, Conditioning(torch.empty(0))), z0, rtol=1e-4, atol=1e-4
    )


def test_frozen_parameters_get_no_gradient_while_the_picture_does(backbone, images):
    images.requires_grad_()
    estimate(backbone, images).square().mean().backward()
    assert bool(images.grad.isfinite().all())
    assert bool((images.grad.flatten(1).abs().amax(1) > 0).all())
    for network in backbone.networks.values():
        assert not network.training
        assert all(not p.requires_grad and p.grad is None for p in network.parameters())


def test_gradient_checkpointing_changes_memory_and_not_gradients(tiny, images):
    def run() -> tuple[Tensor, int]:
        x = images.clone().requires_grad_()
        kept = 0

        def count(tensor: Tensor) -> Tensor:
            nonlocal kept
            kept += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            loss = estimate(tiny, x).square().mean()
        loss.backward()
        return x.grad, kept

    plain, kept = run()
    tiny.checkpoint_gradients()
    saved, kept_less = run()
    tiny.checkpoint_gradients(False)
    _, kept_again = run()
    torch.testing.assert_close(saved, plain)
    assert kept_less < 0.7 * kept
    assert kept_again == kept


def test_gradient_agrees_with_finite_differences_in_float64(epsilon_folder, images):
    backbone = Backbone.load(epsilon_folder, dtype=torch.float64)
    backbone.freeze()
    direction = torch.randn(images.shape, generator=generator(3), dtype=torch.float64)
    x = images.double().requires_grad_()

    def loss(pictures: Tensor) -> Tensor:
        return estimate(backbone, pictures).square().mean()

    loss(x).backward()
    h = 1e-5
    numeric = (loss(x.detach() + h * direction) - loss(x.detach() - h * direction)) / (2 * h)
    torch.testing.assert_close((x.grad * direction).sum(), numeric, rtol=1e-5, atol=1e-9)


def test_autoencoder_keeps_full_precision(v_folder, images):
    half = Backbone.load(v_folder, dtype=torch.bfloat16)
    full = Backbone.load(v_folder)
    assert (half.unet.dtype, half.text_encoder.dtype, half.vae.dtype) == (
        torch.bfloat16,
        torch.bfloat16,
        torch.float32,
    )
    with torch.autocast("cpu", torch.bfloat16):
        latents = half.encode(images).mean
        decoded = half.decode(latents)
    assert torch.equal(latents, full.encode(images).mean)
    assert torch.equal(decoded, full.decode(latents))
    assert half.predict(latents, torch.tensor([1, 2]), half.embed_text(["", ""])).dtype == torch.float32


def test_long_prompts_are_cut_with_a_warning(tiny, caplog):
    with caplog.at_level(logging.WARNING, "visard"):
        embedding = tiny.embed_text(["photo " * 30]).text
    assert embedding.shape == (1, 16, 16)
    assert "32 tokens and the model reads 16" in caplog.text
    torch.testing.assert_close(embedding, tiny.embed_text(["photo " * 14]).text)


def test_save_and_load_keep_every_bit(backbone, images, tmp_path):
    backbone.save(tmp_path / "copy")
    copy = Backbone.load(tmp_path / "copy")
    copy.freeze()
    for part, network in backbone.networks.items():
        state, copied = network.state_dict(), copy.networks[part].state_dict()
        assert state.keys() == copied.keys()
        assert all(torch.equal(state[name], copied[name]) for name in state)
    assert copy.scheduler_config == backbone.scheduler_config
    assert copy.fingerprint() == backbone.fingerprint()
    assert torch.equal(estimate(copy, images), estimate(backbone, images))


def test_save_in_half_precision_halves_the_files(tiny, tmp_path):
    tiny.save(tmp_path / "half", torch.float16)
    tiny.save(tmp_path / "full")
    for half in (tmp_path / "half").rglob("*.safetensors"):
        full = tmp_path / "full" / half.relative_to(tmp_path / "half")
        assert half.stat().st_size < 0.75 * full.stat().st_size
    assert Backbone.load(tmp_path / "half").unet.dtype == torch.float32


def test_saved_folders_tell_nothing_of_this_machine(tmp_path, v_folder):
    private = tmp_path / "Erika Mustermann"
    Backbone.load(v_folder).save(private / "first")
    Backbone.load(private / "first").save(private / "second")
    for file in (private / "second").rglob("*"):
        if file.is_file():
            assert b"Mustermann" not in file.read_bytes()
            assert str(tmp_path).encode() not in file.read_bytes()


def test_saving_with_lora_attached_is_refused(tiny, tmp_path):
    add_lora(tiny, rank=2)
    with pytest.raises(ModelError, match="LoRA layers attached"):
        tiny.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_fingerprint_tells_models_apart(epsilon_folder, v_folder):
    first, other = Backbone.load(epsilon_folder), Backbone.load(v_folder)
    assert first.fingerprint() != other.fingerprint()  # same weights, another prediction type
    before = first.fingerprint()
    with torch.no_grad():
        first.unet.conv_out.weight.mul_(1.001)
    assert first.fingerprint() != before


def test_diffusers_itself_reads_a_saved_folder(tiny, tmp_path):
    from diffusers import StableDiffusionPipeline

    tiny.save(tmp_path / "model")
    theirs = StableDiffusionPipeline.from_pretrained(tmp_path / "model", local_files_only=True)
    ids = theirs.tokenizer(
        ["a photo"], padding="max_length", max_length=16, return_tensors="pt", truncation=True
    )
    assert torch.equal(theirs.text_encoder(ids.input_ids)[0], tiny.embed_text(["a photo"]).text)
    assert torch.equal(theirs.unet.conv_in.weight, tiny.unet.conv_in.weight)


def test_a_small_model_writes_its_attention_out(tiny, images, tmp_path):
    tiny.save(tmp_path / "model")
    small = Backbone.load(tmp_path / "model")
    kinds = {type(each).__name__ for each in small.unet.attn_processors.values()}
    assert kinds == {"AttnProcessor"}
    written_out = estimate(small, images)
    small.unet.set_attn_processor(AttnProcessor2_0())
    torch.testing.assert_close(estimate(small, images), written_out, atol=1e-4, rtol=1e-4)


def test_a_long_prompt_is_warned_of_once(tiny, caplog):
    with caplog.at_level(logging.WARNING, "visard"):
        for _ in range(3):
            tiny.embed_text(["photo " * 30])
    assert caplog.text.count("the model reads 16") == 1
    assert len(caplog.text) < 250


def test_fingerprint_does_not_depend_on_names_of_a_library_version(tiny, monkeypatch):
    """transformers 5.6 dropped a level of the text encoder's names."""
    before, state = tiny.fingerprint(), tiny.text_encoder.state_dict()
    older = {f"text_model.{name.removeprefix('text_model.')}": each for name, each in state.items()}
    newer = {name.removeprefix("text_model."): each for name, each in state.items()}
    for names in (older, newer):
        monkeypatch.setattr(tiny.text_encoder, "state_dict", lambda names=names: names)
        assert tiny.fingerprint() == before


def test_what_the_autoencoder_makes_of_pictures_stays_in_range(tiny, images):
    made = tiny.reconstruct(images)
    assert made.shape == images.shape
    assert float(made.abs().max()) <= 1
    assert torch.equal(made, tiny.decode(tiny.encode(images).mean).clamp(-1, 1))

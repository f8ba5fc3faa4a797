"""SDXL: what its UNet is told, and that diffusers' own pipeline agrees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file

from support.tiny import Specials
from visard.diffusion.backbone import Backbone
from visard.diffusion.blueprints import BLUEPRINTS
from visard.diffusion.conditioning import Conditioning
from visard.diffusion.sampling import generate, picture_generator
from visard.errors import ModelError

PROMPTS = ["a photo of sks person", "a hat!"]


@pytest.fixture
def theirs(xl_folder):
    pipeline = StableDiffusionXLPipeline.from_pretrained(xl_folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_the_conditioning_is_that_of_diffusers(xl, theirs):
    told = xl.embed_text(PROMPTS)
    with torch.no_grad():
        text, _, pooled, _ = theirs.encode_prompt(PROMPTS, do_classifier_free_guidance=False)
    assert torch.equal(told.text, text)
    assert torch.equal(told.pooled, pooled)
    ids = theirs._get_add_time_ids((32, 32), (0, 0), (32, 32), text.dtype, text_encoder_projection_dim=12)
    assert torch.equal(told.time_ids, ids.repeat(2, 1))


def test_every_part_of_the_conditioning_reaches_the_unet(xl):
    told = xl.embed_text(PROMPTS[:1])
    z, t = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([500])
    plain = xl.predict(z, t, told)
    for other in (
        Conditioning(told.text + 1, told.pooled, told.time_ids),
        Conditioning(told.text, told.pooled + 1, told.time_ids),
        Conditioning(told.text, told.pooled, told.time_ids + 8),
    ):
        assert not torch.equal(xl.predict(z, t, other), plain)


@pytest.mark.parametrize("negative", ["", "a hat"])
def test_pictures_are_those_of_diffusers(xl, theirs, negative):
    """An empty negative prompt is zeros, as the model was trained."""
    ours = generate(xl, PROMPTS[0], 1, seed=3, steps=3, scheduler="ddim", negative_prompt=negative)
    pictures = theirs(
        PROMPTS[0],
        negative_prompt=negative or None,
        num_inference_steps=3,
        guidance_scale=7.5,
        latents=torch.randn(1, 4, 4, 4, generator=picture_generator(3, 0)),
        output_type="pt",
    ).images
    torch.testing.assert_close(ours, pictures * 2 - 1, rtol=0, atol=1e-4)


def test_models_whose_empty_prompt_is_text_keep_that(xl_folder, tmp_path):
    backbone = Backbone.load(xl_folder)
    backbone.zeros_for_empty = False
    backbone.save(tmp_path / "model")
    assert (
        json.loads((tmp_path / "model/model_index.json").read_text())["force_zeros_for_empty_prompt"] is False
    )
    assert Backbone.load(tmp_path / "model").zeros_for_empty is False
    assert not torch.equal(
        generate(backbone, "a", 1, seed=0, steps=2),
        generate(Backbone.load(xl_folder), "a", 1, seed=0, steps=2),
    )


def test_a_conditioning_is_indexed_joined_and_repeated(xl):
    both = xl.embed_text(PROMPTS)
    one, other = both[:1], both[[1]]
    assert (len(both), len(one)) == (2, 1)
    joined = Conditioning.cat([one, other])
    for name in ("text", "pooled", "time_ids"):
        assert torch.equal(getattr(joined, name), getattr(both, name))
        assert torch.equal(getattr(other.repeat(3), name)[2], getattr(both, name)[1])
    plain = Conditioning(torch.ones(2, 3, 4))
    assert Conditioning.cat([plain, plain[:1]]).text.shape == (3, 3, 4)
    assert plain[:1].pooled is None


def test_a_second_text_encoder_of_another_model_does_not_fit(xl_folder, tmp_path):
    backbone = Backbone.load(xl_folder)
    backbone.save(tmp_path / "model")
    file = tmp_path / "model/text_encoder_2/model.safetensors"
    config = file.with_name("config.json")
    config.write_text(json.dumps({**json.loads(config.read_text()), "projection_dim": 5}))
    tensors = load_file(file)
    tensors["text_projection.weight"] = tensors["text_projection.weight"][:5].clone()
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(ModelError, match="pooled embeddings 12 wide, the second text encoder gives 5"):
        Backbone.load(tmp_path / "model")


def test_fp16_variants_alone_are_enough(xl_folder, tmp_path):
    folder = tmp_path / "model"
    Backbone.load(xl_folder).save(folder, torch.float16)
    for file in folder.rglob("*.safetensors"):
        file.rename(file.with_name(file.name.replace(".safetensors", ".fp16.safetensors")))
    loaded = Backbone.load(folder)
    assert loaded.unet.dtype == torch.float32
    assert all(".fp16." in name and file.is_file() for name, file in loaded.files.items())
    assert len(loaded.files) == 4


def test_sdxl_has_the_published_sizes():
    published = {
        "unet": 2_567_463_684,
        "vae": 83_653_863,
        "text_encoder": 123_060_480,
        "text_encoder_2": 694_659_840,
    }
    with torch.device("meta"):
        counted = {part: BLUEPRINTS["sdxl"].build(part, Specials()) for part in BLUEPRINTS["sdxl"].parts}
    assert {part: sum(p.numel() for p in net.parameters()) for part, net in counted.items()} == published


def test_missing_parts_of_sdxl_are_named(xl_folder, tmp_path):
    Backbone.load(xl_folder).save(tmp_path / "model")
    (tmp_path / "model/text_encoder_2/model.safetensors").unlink()
    for file in Path(tmp_path / "model/tokenizer_2").iterdir():
        file.unlink()
    with pytest.raises(
        ModelError, match=r"missing: text_encoder_2/model.safetensors, tokenizer_2/vocab.json"
    ):
        Backbone.load(tmp_path / "model")

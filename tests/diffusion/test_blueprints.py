from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel

from support.tiny import tiny_pipeline
from visard.diffusion.backbone import Backbone
from visard.diffusion.blueprints import BLUEPRINTS, write_blueprint


def sizes(name: str, vocabulary: int) -> dict[str, int]:
    """Parameters of each network, counted without memory."""
    shape = BLUEPRINTS[name]
    with torch.device("meta"):
        networks = {
            "unet": UNet2DConditionModel(**shape.unet),
            "vae": AutoencoderKL(**shape.vae),
            "text_encoder": CLIPTextModel(CLIPTextConfig(vocab_size=vocabulary, **shape.text_encoder)),
        }
    return {part: sum(p.numel() for p in network.parameters()) for part, network in networks.items()}


def test_tiny_is_tiny(tiny):
    assert sum(p.numel() for network in tiny.networks.values() for p in network.parameters()) < 200_000
    assert (tiny.resolution, tiny.factor) == (32, 8)


def test_micro_fits_the_embedded_world(tmp_path):
    folder = write_blueprint("micro", tmp_path / "micro", dtype=torch.float16)
    for file in folder.rglob("*.safetensors"):
        assert file.stat().st_size < 15.5e6
    backbone = Backbone.load(folder)
    assert (backbone.resolution, backbone.factor) == (128, 8)
    assert backbone.embed_text(["a photo of a person"]).text.shape == (1, 32, 128)


def test_sd21_has_the_published_sizes():
    published = {"unet": 865_910_724, "vae": 83_653_863, "text_encoder": 340_387_840}
    assert sizes("sd21", 49408) == published


def test_weights_follow_the_seed_and_leave_the_global_generator_alone(tmp_path):
    before = torch.get_rng_state()
    folders = [tiny_pipeline(tmp_path / str(i), seed=seed) for i, seed in enumerate((0, 0, 1))]
    assert torch.equal(torch.get_rng_state(), before)
    first, again, other = (
        load_file(folder / "unet" / "diffusion_pytorch_model.safetensors") for folder in folders
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["conv_in.weight"], other["conv_in.weight"])


def test_unknown_shapes_are_refused(tmp_path):
    with pytest.raises(KeyError):
        write_blueprint("huge", tmp_path / "model")
    assert list(tmp_path.iterdir()) == []

"""A distilled decoder in place of the VAE's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import load_file

from visard.diffusion.backbone import Backbone
from visard.errors import ModelError
from visard.personalization.decoders import load_decoder


def tiny(folder: Path, latent_channels: int = 4) -> str:
    widths = {"encoder_block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4}
    blocks = {"num_encoder_blocks": (1,) * 4, "num_decoder_blocks": (1,) * 4}
    AutoencoderTiny(latent_channels=latent_channels, **widths, **blocks).save_pretrained(folder)
    return str(folder)


def test_the_vae_is_the_backbones_own(base: Backbone) -> None:
    assert load_decoder("vae", base) == base.decode


def test_a_distilled_decoder_gives_pictures_and_gradients(tmp_path: Path, base: Backbone) -> None:
    latents = torch.zeros(2, 4, 4, 4, requires_grad=True)
    pictures = load_decoder(tiny(tmp_path / "taesd"), base)(latents)
    assert pictures.shape == base.decode(latents).shape == (2, 3, 32, 32)
    assert torch.autograd.grad(pictures.square().sum(), latents)[0].abs().sum() > 0


def test_a_decoder_of_another_vae_is_refused(tmp_path: Path, base: Backbone) -> None:
    with pytest.raises(ModelError, match="8 latent channels"):
        load_decoder(tiny(tmp_path / "taesd", latent_channels=8), base)


def test_a_pickled_decoder_is_not_opened(tmp_path: Path, base: Backbone) -> None:
    folder = Path(tiny(tmp_path / "taesd"))
    file = folder / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(file), folder / "diffusion_pytorch_model.bin")
    file.unlink()
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_decoder(str(folder), base)


def test_a_missing_decoder_says_which_setting(tmp_path: Path, base: Backbone) -> None:
    with pytest.raises(ModelError, match=r"decoupling\.decoder"):
        load_decoder(str(tmp_path / "nowhere"), base)

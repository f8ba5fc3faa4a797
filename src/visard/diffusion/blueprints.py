"""Model folders with random weights, from a named shape: the starting point of a training, and of tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from visard.diffusion.folders import write_index, write_part
from visard.diffusion.tokenizer import build_tokenizer
from visard.storage import atomic_folder

WORDS = ("a", "photo", "of", "sks", "person", "man", "woman", "face", "portrait", "with", "hat", "glasses")

# The noise schedule of Stable Diffusion 1.x and 2.x.
SCHEDULER = {
    "_class_name": "DDIMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


@dataclass(frozen=True)
class Blueprint:
    """Constructor arguments of the three networks. `vocabulary` None: as large as the tokenizer."""

    vae: dict[str, Any]
    unet: dict[str, Any]
    text_encoder: dict[str, Any]
    vocabulary: int | None = None


def _vae(
    resolution: int, widths: tuple[int, ...], layers: int, groups: int, channels: int = 4
) -> dict[str, Any]:
    return {
        "sample_size": resolution,
        "latent_channels": channels,
        "block_out_channels": widths,
        "layers_per_block": layers,
        "norm_num_groups": groups,
        "down_block_types": ("DownEncoderBlock2D",) * len(widths),
        "up_block_types": ("UpDecoderBlock2D",) * len(widths),
        "scaling_factor": 0.18215,
    }


BLUEPRINTS = {
    # For tests: 32 px pictures, everything as narrow as the layers allow.
    "tiny": Blueprint(
        vae=_vae(32, (4, 4, 8, 8), layers=1, groups=4),
        unet={
            "sample_size": 4,
            "block_out_channels": (8, 16),
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
            "layers_per_block": 1,
            "norm_num_groups": 4,
            "attention_head_dim": 2,
            "cross_attention_dim": 16,
        },
        text_encoder={
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 16,
            "projection_dim": 16,
        },
    ),
    # The embedded world's model: 128 px pictures, latents 16 x 16. A face is eight cells wide there, of which
    # four channels keep too little: hence eight.
    "micro": Blueprint(
        vae=_vae(128, (16, 24, 64, 128), layers=1, groups=8, channels=8),
        unet={
            "sample_size": 16,
            "in_channels": 8,
            "out_channels": 8,
            "block_out_channels": (64, 128, 144),  # 7.6 M parameters: 15.3 MB in fp16
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "layers_per_block": 1,
            "norm_num_groups": 16,
            "attention_head_dim": 4,
            "cross_attention_dim": 128,
        },
        text_encoder={
            "hidden_size": 128,
            "intermediate_size": 512,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "max_position_embeddings": 32,
            "projection_dim": 128,
        },
    ),
    # Stable Diffusion 2.1-base: 865 M parameter UNet, OpenCLIP ViT-H text encoder without its last layer.
    "sd21": Blueprint(
        vae=_vae(512, (128, 256, 512, 512), layers=2, groups=32),
        unet={
            "sample_size": 64,
            "block_out_channels": (320, 640, 1280, 1280),
            "layers_per_block": 2,
            "attention_head_dim": (5, 10, 20, 20),  # diffusers' name for the number of heads
            "cross_attention_dim": 1024,
            "use_linear_projection": True,
        },
        text_encoder={
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 23,
            "num_attention_heads": 16,
            "max_position_embeddings": 77,
            "projection_dim": 512,
            "hidden_act": "gelu",
        },
        vocabulary=49408,
    ),
}


def write_blueprint(
    name: str,
    folder: str | Path,
    *,
    words: Iterable[str] = WORDS,
    prediction_type: str = "epsilon",
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Write the named shape with random weights as a diffusers folder; one network is in memory at a time.

    `words`: the tokenizer's vocabulary; `dtype`: of the weights on disk. Raises KeyError for unknown names.
    """
    blueprint = BLUEPRINTS[name]
    folder = Path(folder)
    with atomic_folder(folder) as target, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = build_tokenizer(words, target, blueprint.text_encoder["max_position_embeddings"])
        write_part(target, "text_encoder", _text_encoder(blueprint, tokenizer), dtype)
        write_part(target, "vae", _network(AutoencoderKL, blueprint.vae), dtype)
        write_part(target, "unet", _network(UNet2DConditionModel, blueprint.unet), dtype)
        write_index(target, {**SCHEDULER, "prediction_type": prediction_type})
    return folder


def _network(kind: Any, arguments: dict[str, Any]) -> Any:
    return kind(**arguments)


def _text_encoder(blueprint: Blueprint, tokenizer: Any) -> CLIPTextModel:
    size = blueprint.vocabulary or len(tokenizer)
    if len(tokenizer) > size:
        raise ValueError(f"{len(tokenizer)} tokens do not fit into an embedding table of {size}.")
    special = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    return CLIPTextModel(CLIPTextConfig(vocab_size=size, **special, **blueprint.text_encoder))

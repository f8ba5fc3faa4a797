"""Model folders with random weights, from a named shape: the starting point of a training, and of tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPTextConfig

from visard.diffusion.folders import SD, SDXL, TEXT_ENCODERS, write_index, write_part, write_tokenizer
from visard.diffusion.loading import NETWORKS
from visard.diffusion.tokenizer import OPEN_CLIP_PAD, build_tokenizer
from visard.storage import atomic_folder

WORDS = ("a", "photo", "of", "sks", "person", "man", "woman", "face", "portrait", "with", "hat", "glasses")

# The noise schedule of Stable Diffusion 1.x, 2.x and SDXL.
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
    """Constructor arguments of the networks; SDXL has a second text encoder.

    `vocabulary` None: as large as the tokenizer.
    """

    vae: dict[str, Any]
    unet: dict[str, Any]
    text_encoder: dict[str, Any]
    text_encoder_2: dict[str, Any] | None = None
    vocabulary: int | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The networks it describes."""
        return ("text_encoder", *(["text_encoder_2"] if self.text_encoder_2 else []), "vae", "unet")

    def build(self, part: str, tokenizer: Any) -> Any:
        """One of its networks with the library's initial weights; `tokenizer`: for the text encoders."""
        arguments = getattr(self, part)
        if part not in TEXT_ENCODERS:
            return NETWORKS[part](**arguments)
        size = self.vocabulary or len(tokenizer)
        if len(tokenizer) > size:
            raise ValueError(f"{len(tokenizer)} tokens do not fit into an embedding table of {size}.")
        special = {
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        }
        return NETWORKS[part](CLIPTextConfig(vocab_size=size, **special, **arguments))


def _vae(
    resolution: int,
    widths: tuple[int, ...],
    layers: int,
    groups: int,
    channels: int = 4,
    scaling_factor: float = 0.18215,
) -> dict[str, Any]:
    return {
        "sample_size": resolution,
        "latent_channels": channels,
        "block_out_channels": widths,
        "layers_per_block": layers,
        "norm_num_groups": groups,
        "down_block_types": ("DownEncoderBlock2D",) * len(widths),
        "up_block_types": ("UpDecoderBlock2D",) * len(widths),
        "scaling_factor": scaling_factor,
    }


# OpenAI's CLIP ViT-L/14, which Stable Diffusion 1.x reads with and SDXL too.
CLIP_L = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 77,
    "projection_dim": 768,
}
CLIP_VOCABULARY = 49408

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
    # SDXL for tests: two text encoders, 16 and 24 wide, and a pooled embedding of 12.
    "tiny-sdxl": Blueprint(
        vae=_vae(32, (4, 4, 8, 8), layers=1, groups=4, scaling_factor=0.13025),
        unet={
            "sample_size": 4,
            "block_out_channels": (8, 16),
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
            "layers_per_block": 1,
            "transformer_layers_per_block": (1, 2),
            "norm_num_groups": 4,
            "attention_head_dim": (2, 4),
            "cross_attention_dim": 40,
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 60,
        },
        text_encoder={
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 16,
            "projection_dim": 16,
        },
        text_encoder_2={
            "hidden_size": 24,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 16,
            "projection_dim": 12,
            "hidden_act": "gelu",
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
    # Stable Diffusion 1.x: 860 M parameter UNet.
    "sd15": Blueprint(
        vae=_vae(512, (128, 256, 512, 512), layers=2, groups=32),
        unet={
            "sample_size": 64,
            "block_out_channels": (320, 640, 1280, 1280),
            "layers_per_block": 2,
            "attention_head_dim": 8,
            "cross_attention_dim": 768,
        },
        text_encoder=CLIP_L,
        vocabulary=CLIP_VOCABULARY,
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
        vocabulary=CLIP_VOCABULARY,
    ),
    # SDXL 1.0: 2.6 G parameter UNet, CLIP ViT-L and OpenCLIP ViT-bigG text encoders.
    "sdxl": Blueprint(
        vae=_vae(1024, (128, 256, 512, 512), layers=2, groups=32, scaling_factor=0.13025),
        unet={
            "sample_size": 128,
            "block_out_channels": (320, 640, 1280),
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "layers_per_block": 2,
            "transformer_layers_per_block": (1, 2, 10),
            "attention_head_dim": (5, 10, 20),
            "cross_attention_dim": 2048,
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
        text_encoder=CLIP_L,
        text_encoder_2={
            "hidden_size": 1280,
            "intermediate_size": 5120,
            "num_hidden_layers": 32,
            "num_attention_heads": 20,
            "max_position_embeddings": 77,
            "projection_dim": 1280,
            "hidden_act": "gelu",
        },
        vocabulary=CLIP_VOCABULARY,
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
        length = blueprint.text_encoder["max_position_embeddings"]
        tokenizers = {"text_encoder": build_tokenizer(words, length)}
        write_tokenizer(target, tokenizers["text_encoder"])
        if blueprint.text_encoder_2:
            tokenizers["text_encoder_2"] = build_tokenizer(words, length, pad=OPEN_CLIP_PAD)
            write_tokenizer(target, tokenizers["text_encoder_2"], "tokenizer_2")
        for part in blueprint.parts:
            write_part(target, part, blueprint.build(part, tokenizers.get(part)), dtype)
        pipeline = SDXL if blueprint.text_encoder_2 else SD
        write_index(target, {**SCHEDULER, "prediction_type": prediction_type}, pipeline)
    return folder

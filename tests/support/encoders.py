"""CLIP, DINO, DINOv2 and LPIPS, random and small (LPIPS excepted), in files as the published ones are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPConfig, CLIPModel, Dinov2Config, Dinov2Model, ViTConfig, ViTModel

from visard.diffusion.tokenizer import build_tokenizer
from visard.metrics.lpips import CHANNELS, alexnet
from visard.storage import save_tensors

SIDE = 32
WORDS = ("a", "photo", "of", "person", "red", "hat")
SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
PICTURES: dict[str, Any] = {"image_size": SIDE, "patch_size": 8}
MEAN, STD = [0.48, 0.46, 0.41], [0.27, 0.26, 0.28]
PREPROCESSOR: dict[str, dict[str, Any]] = {
    "clip": {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}, "resample": 3},
    "vit": {"size": SIDE, "resample": 2, "do_center_crop": False},
    "dinov2": {"size": {"shortest_edge": 40}, "crop_size": {"height": SIDE, "width": SIDE}, "resample": 3},
}


ENCODER_ROWS = """
[matcher]
name = "small dino"
architecture = "vit"
file = "dino"

[captions]
name = "small clip"
architecture = "clip"
file = "clip"
"""
LPIPS_ROW = """
[perceptual]
network = "alexnet.safetensors"
weights = "lpips.safetensors"
"""


def write_folder(folder: Path, architecture: str, seed: int = 0) -> Path:
    """A model folder as transformers saves it: architecture "clip", "vit" or "dinov2"; returns it."""
    torch.manual_seed(seed)
    if architecture == "clip":
        tokenizer = build_tokenizer(WORDS, max_length=8)
        text = {**SIZES, "vocab_size": len(tokenizer), "max_position_embeddings": 8}
        text |= {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
        config = CLIPConfig(text_config=text, vision_config=SIZES | PICTURES, projection_dim=12)
        CLIPModel(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    elif architecture == "vit":
        ViTModel(ViTConfig(**SIZES, **PICTURES), add_pooling_layer=False).save_pretrained(folder)
    else:
        Dinov2Model(Dinov2Config(**SIZES, **PICTURES)).save_pretrained(folder)
    write_preprocessor(folder, architecture)
    return folder


def write_preprocessor(folder: Path, architecture: str, **changes: Any) -> None:
    content = {"image_mean": MEAN, "image_std": STD, "do_center_crop": True} | PREPROCESSOR[architecture]
    (folder / "preprocessor_config.json").write_text(json.dumps(content | changes))


def lpips_tables(seed: int = 0) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """AlexNet as torchvision names it, with a classifier, and LPIPS' own weights as published."""
    torch.manual_seed(seed)
    network = {f"features.{name}": value for name, value in alexnet().state_dict().items()}
    network["classifier.6.bias"] = torch.zeros(10)
    weights = {f"lin{layer}.model.1.weight": torch.rand(1, n, 1, 1) for layer, n in enumerate(CHANNELS)}
    return network, weights


def write_lpips(folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """The two files of LPIPS with random weights: "alexnet.safetensors" and "lpips.safetensors"."""
    files = folder / "alexnet.safetensors", folder / "lpips.safetensors"
    for file, table in zip(files, lpips_tables(seed), strict=True):
        save_tensors(file, table, {})
    return files


def write_encoders(folder: Path) -> str:
    """CLIP, DINO and LPIPS beside a kit; returns their rows."""
    write_folder(folder / "clip", "clip")
    write_folder(folder / "dino", "vit")
    write_lpips(folder)
    return ENCODER_ROWS + LPIPS_ROW

"""Single-file checkpoints as A1111 and ComfyUI know them, written from a model folder."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from visard.diffusion.backbone import Backbone
from visard.diffusion.ldm_names import LdmNames

IN_VAE = [
    (r"^(encoder|decoder)\.conv_norm_out", r"\1.norm_out"),
    (r"down_blocks\.(\d)\.resnets", r"down.\1.block"),
    (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
    (r"upsamplers\.0", "upsample"),
    (r"mid_block\.resnets\.0", "mid.block_1"),
    (r"mid_block\.resnets\.1", "mid.block_2"),
    (r"mid_block\.attentions\.0", "mid.attn_1"),
    (r"conv_shortcut", "nin_shortcut"),
    (r"group_norm", "norm"),
    (r"to_out\.0", "proj_out"),
    (r"to_([qkv])", r"\1"),
]
IN_OPEN_CLIP = [
    (r"^text_model\.", ""),
    (r"^encoder\.layers\.", "transformer.resblocks."),
    (r"layer_norm([12])", r"ln_\1"),
    (r"\.fc1\.", ".c_fc."),
    (r"\.fc2\.", ".c_proj."),
    (r"\.self_attn\.", ".attn."),
    (r"^final_layer_norm", "ln_final"),
    (r"^embeddings\.token_embedding", "token_embedding"),
    (r"^embeddings\.position_embedding\.weight", "positional_embedding"),
    (r"^text_projection\.weight", "text_projection"),
]


def write_checkpoint(
    folder: Path, file: Path, *, open_clip: bool = False, header: Mapping[str, str] | None = None
) -> Path:
    """The model in `folder` as one file, its tokenizer beside it; `open_clip`: in the names of 2.x."""
    backbone = Backbone.load(folder)
    tensors = unet_tensors(backbone.unet, backbone.unet.state_dict())
    tensors |= vae_tensors(backbone.vae.state_dict())
    first, *second = (encoder.state_dict() for encoder in backbone.text_encoders)
    if second:
        tensors |= clip_tensors(first, "conditioner.embedders.0.transformer.")
        tensors |= open_clip_tensors(second[0], "conditioner.embedders.1.model.")
    elif open_clip:
        tensors |= open_clip_tensors(first, "cond_stage_model.model.", extra_layer=True)
    else:
        tensors |= clip_tensors(first, "cond_stage_model.transformer.")
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: each.contiguous().clone() for name, each in tensors.items()}, file, dict(header or {}))
    shutil.copytree(folder / "tokenizer", file.parent / "tokenizer", dirs_exist_ok=True)
    return file


def unet_tensors(unet: torch.nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    names, tensors = LdmNames.of(unet), {}
    for name, tensor in state.items():
        module, _, kind = name.rpartition(".")
        tensors[f"model.diffusion_model.{names(module)}.{kind}"] = tensor
    return tensors


def vae_tensors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    levels = 1 + max(int(level) for level in re.findall(r"decoder\.up_blocks\.(\d)", " ".join(state)))
    tensors = {}
    for name, tensor in state.items():
        attention = "attentions" in name and "group_norm" not in name and name.endswith("weight")
        name = _renamed(name, IN_VAE)
        name = re.sub(
            r"up_blocks\.(\d)\.(resnets)?",
            lambda found: f"up.{levels - 1 - int(found[1])}.{'block' if found[2] else ''}",
            name,
        )
        # LDM's autoencoder attends with 1 x 1 convolutions.
        tensors[f"first_stage_model.{name}"] = tensor[:, :, None, None] if attention else tensor
    return tensors


def clip_tensors(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}text_model.{name.removeprefix('text_model.')}": each for name, each in state.items()}


def open_clip_tensors(
    state: Mapping[str, Tensor], prefix: str, *, extra_layer: bool = False
) -> dict[str, Tensor]:
    """Query, key and value in one tensor; `extra_layer`: the last one, which 2.x leaves out."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in state.items():
        renamed = f"{prefix}{_renamed(name, IN_OPEN_CLIP)}"
        if match := re.fullmatch(r"(.+\.attn)\.([qkv])_proj\.(weight|bias)", renamed):
            if match[2] == "q":
                parts = [state[name.replace("q_proj", f"{each}_proj")] for each in "qkv"]
                tensors[f"{match[1]}.in_proj_{match[3]}"] = torch.cat(parts)
        else:
            tensors[renamed] = tensor.T if name == "text_projection.weight" else tensor
    if extra_layer:
        depth = 1 + max(int(layer) for layer in re.findall(r"resblocks\.(\d+)", " ".join(tensors)))
        last = {name: each for name, each in tensors.items() if f"resblocks.{depth - 1}." in name}
        tensors |= {name.replace(f".{depth - 1}.", f".{depth}."): each + 1 for name, each in last.items()}
        tensors[f"{prefix}logit_scale"] = torch.tensor(1.0)
    return tensors


def _renamed(name: str, rules: list[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name

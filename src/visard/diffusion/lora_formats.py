"""The names LoRA tensors go by: diffusers / PEFT files and kohya files (A1111, ComfyUI), read and written.

In between, a LoRA is `Factors` by module path, "unet.<path>", "text_encoder.<path>" and, of SDXL,
"text_encoder_2.<path>"; text encoders without the `text_model.` level, which transformers dropped from the
first one in 5.6 and files keep for older and other programs.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visard.diffusion.folders import TEXT_ENCODERS, TEXT_PREFIX
from visard.diffusion.ldm_names import LdmNames
from visard.errors import ModelError

# Every way to write a factor's name that diffusers has used.
PEFT_KEY = re.compile(
    r"(?P<module>(?:unet|text_encoder(?:_2)?)\..+?)\."
    r"(?:(?P<down>lora_A|lora\.down|lora_linear_layer\.down)|(?:lora_B|lora\.up|lora_linear_layer\.up))"
    r"(?:\.default)?\.weight|(?P<scaled>(?:unet|text_encoder(?:_2)?)\..+)\.alpha"
)
KOHYA_KEY = re.compile(
    r"(?P<part>lora_unet|lora_te[12]?)_(?P<module>[^.]+)\.(?P<kind>lora_down\.weight|lora_up\.weight|alpha)"
)
KOHYA_PARTS = {
    "lora_unet": "unet",
    "lora_te": "text_encoder",
    "lora_te1": "text_encoder",
    "lora_te2": "text_encoder_2",
}
# What only files for SDXL hold: the second text encoder, and LDM's names for the UNet's blocks.
ONLY_XL = re.compile(r"lora_te2_|text_encoder_2\.|lora_unet_(input_blocks|middle_block|output_blocks)_")
PEFT_HEADER = "lora_adapter_metadata"
"""Where diffusers >= 0.34 writes the settings of PEFT, alpha among them, which the tensors do not tell."""

Key = tuple[str, str]  # module path, and "down", "up" or "alpha"


@dataclass(frozen=True)
class Factors:
    """The update `up @ down` of one weight: down (r, in, ...), up (out, r, ...), any scale included in up."""

    down: Tensor
    up: Tensor

    @property
    def rank(self) -> int:
        """Number of rows of down."""
        return self.down.shape[0]


def to_peft(lora: Mapping[str, Factors]) -> dict[str, Tensor]:
    """Tensors of a diffusers / PEFT file. It has no alpha: readers take alpha = rank."""
    tensors = {}
    for module, factors in lora.items():
        name = _public(module)
        tensors[f"{name}.lora_A.weight"] = factors.down
        tensors[f"{name}.lora_B.weight"] = factors.up
    return tensors


def to_kohya(lora: Mapping[str, Factors], xl: LdmNames | None = None) -> dict[str, Tensor]:
    """Tensors of a kohya file, with alpha = rank. `xl`: of SDXL, the names of the UNet's modules."""
    tensors = {}
    for module, factors in lora.items():
        name = _kohya_name(module, xl)
        tensors[f"{name}.lora_down.weight"] = factors.down
        tensors[f"{name}.lora_up.weight"] = factors.up
        tensors[f"{name}.alpha"] = torch.tensor(float(factors.rank))
    return tensors


def read(
    tensors: Mapping[str, Tensor],
    header: Mapping[str, Any],
    modules: Iterable[str],
    file: str | Path,
    xl: LdmNames | None = None,
) -> dict[str, Factors]:
    """The LoRA in a file's tensors, of either kind; `modules`: the model's paths. Raises ModelError."""
    if xl is None and any(ONLY_XL.match(name) for name in tensors):
        raise ModelError(
            f"{file} is a LoRA for SDXL, and this model is not SDXL.",
            "Use it with the base model it was trained on.",
        )
    dotted = _by_kohya_name(modules, xl)
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        key = _peft_key(name) or _kohya_key(name, dotted)
        if key is None:
            raise ModelError(
                f"{file} is not a LoRA for Stable Diffusion 1.x, 2.x or SDXL: it holds '{name}'.",
                "Use a LoRA file as diffusers or kohya write it (not LoHa, LoKr or DoRA).",
            )
        found.setdefault(key[0], {})[key[1]] = tensor
    alphas = _PeftAlphas(header)
    lora = {}
    for module, parts in found.items():
        if "down" not in parts or "up" not in parts:
            raise ModelError(
                f"{file} has only half of the LoRA of {module}.", "It may be cut short; copy it again."
            )
        down, up = parts["down"], parts["up"]
        scale = float(parts["alpha"]) / down.shape[0] if "alpha" in parts else alphas.scale(module, len(down))
        lora[module] = Factors(down, up if scale == 1.0 else up * scale)
    if not lora:
        raise ModelError(f"{file} holds no LoRA.", "Check the path.")
    return lora


class _PeftAlphas:
    """What a diffusers file's header says of alpha; without one, alpha = rank."""

    def __init__(self, header: Mapping[str, Any]) -> None:
        said = header.get(PEFT_HEADER, {})
        self.said: dict[str, Any] = json.loads(said) if isinstance(said, str) else dict(said)

    def scale(self, module: str, rank: int) -> float:
        """alpha / rank, or alpha / sqrt(rank) of a rank-stabilised LoRA."""
        part, _, path = module.partition(".")
        alpha = self.said.get(f"{part}.lora_alpha", rank)
        for pattern, own in self.said.get(f"{part}.alpha_pattern", {}).items():
            if re.fullmatch(rf"(.*\.)?({pattern})", path):  # as PEFT matches its patterns
                alpha = own
        return float(alpha) / (math.sqrt(rank) if self.said.get(f"{part}.use_rslora") else rank)


def _public(module: str) -> str:
    part, _, path = module.partition(".")
    return f"{part}.{TEXT_PREFIX}{path}" if part in TEXT_ENCODERS else module


def _kohya_name(module: str, xl: LdmNames | None) -> str:
    part, _, path = _public(module).partition(".")
    if part == "unet":
        named = (xl and xl(path)) or path
        return f"lora_unet_{named.replace('.', '_')}"
    prefix = "lora_te" if xl is None else "lora_te1" if part == "text_encoder" else "lora_te2"
    return f"{prefix}_{path.replace('.', '_')}"


def _by_kohya_name(modules: Iterable[str], xl: LdmNames | None) -> dict[str, str]:
    """Modules by part and flat path, in diffusers' names and, of SDXL, in LDM's."""
    found = {}
    for module in modules:
        found[_public(module).replace(".", "_")] = module
        part, _, path = module.partition(".")
        if xl and part == "unet" and (named := xl(path)):
            found[f"unet_{named.replace('.', '_')}"] = module
    return found


def _peft_key(name: str) -> Key | None:
    match = PEFT_KEY.fullmatch(name)
    if match is None:
        return None
    module = match["module"] or match["scaled"]
    kind = "alpha" if match["scaled"] else "down" if match["down"] else "up"
    part, _, path = module.partition(".")
    return f"{part}.{path.removeprefix(TEXT_PREFIX)}", kind


def _kohya_key(name: str, dotted: Mapping[str, str]) -> Key | None:
    match = KOHYA_KEY.fullmatch(name)
    if match is None:
        return None
    flat = f"{KOHYA_PARTS[match['part']]}_{match['module']}"
    kind = {"lora_down.weight": "down", "lora_up.weight": "up", "alpha": "alpha"}[match["kind"]]
    return dotted.get(flat, flat), kind  # an unknown module keeps its flat name for the message

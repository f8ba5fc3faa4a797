"""The names LoRA tensors go by: diffusers / PEFT files and kohya files (A1111, ComfyUI), read and written.

In between, a LoRA is `Factors` by module path, "unet.<path>" and "text_encoder.<path>", the latter without
the `text_model.` level, which transformers dropped in 5.6 and files keep for older and other programs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from visard.diffusion.folders import TEXT_PREFIX
from visard.errors import ModelError

# Every way to write a factor's name that diffusers has used.
PEFT_KEY = re.compile(
    r"(?P<module>(?:unet|text_encoder)\..+?)\."
    r"(?:(?P<down>lora_A|lora\.down|lora_linear_layer\.down)|(?:lora_B|lora\.up|lora_linear_layer\.up))"
    r"(?:\.default)?\.weight|(?P<scaled>(?:unet|text_encoder)\..+)\.alpha"
)
KOHYA_KEY = re.compile(
    r"(?P<part>lora_unet|lora_te1?)_(?P<module>[^.]+)\.(?P<kind>lora_down\.weight|lora_up\.weight|alpha)"
)
KOHYA_PARTS = {"lora_unet": "unet", "lora_te": "text_encoder", "lora_te1": "text_encoder"}

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


def to_kohya(lora: Mapping[str, Factors]) -> dict[str, Tensor]:
    """Tensors of a kohya file for Stable Diffusion 1.x / 2.x, with alpha = rank."""
    tensors = {}
    for module, factors in lora.items():
        part, _, path = _public(module).partition(".")
        name = f"{'lora_te' if part == 'text_encoder' else 'lora_unet'}_{path.replace('.', '_')}"
        tensors[f"{name}.lora_down.weight"] = factors.down
        tensors[f"{name}.lora_up.weight"] = factors.up
        tensors[f"{name}.alpha"] = torch.tensor(float(factors.rank))
    return tensors


def read(tensors: Mapping[str, Tensor], modules: Iterable[str], file: str | Path) -> dict[str, Factors]:
    """The LoRA in a file's tensors, of either kind; `modules`: the model's paths. Raises ModelError."""
    dotted = {_public(module).replace(".", "_"): module for module in modules}
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        key = _peft_key(name) or _kohya_key(name, dotted)
        if key is None:
            raise ModelError(
                f"{file} is not a LoRA for Stable Diffusion 1.x / 2.x: it holds '{name}'.",
                "Use a LoRA file as diffusers or kohya write it (not SDXL, LoHa, LoKr or DoRA).",
            )
        found.setdefault(key[0], {})[key[1]] = tensor
    lora = {}
    for module, parts in found.items():
        if "down" not in parts or "up" not in parts:
            raise ModelError(
                f"{file} has only half of the LoRA of {module}.", "It may be cut short; copy it again."
            )
        down, up = parts["down"], parts["up"]
        scale = float(parts["alpha"]) / down.shape[0] if "alpha" in parts else 1.0
        lora[module] = Factors(down, up if scale == 1.0 else up * scale)
    if not lora:
        raise ModelError(f"{file} holds no LoRA.", "Check the path.")
    return lora


def _public(module: str) -> str:
    part, _, path = module.partition(".")
    return f"{part}.{TEXT_PREFIX}{path}" if part == "text_encoder" else module


def _peft_key(name: str) -> Key | None:
    match = PEFT_KEY.fullmatch(name)
    if match is None:
        return None
    module = match["module"] or match["scaled"]
    kind = "alpha" if match["scaled"] else "down" if match["down"] else "up"
    return module.replace(f"text_encoder.{TEXT_PREFIX}", "text_encoder.", 1), kind


def _kohya_key(name: str, dotted: Mapping[str, str]) -> Key | None:
    match = KOHYA_KEY.fullmatch(name)
    if match is None:
        return None
    flat = f"{KOHYA_PARTS[match['part']]}_{match['module']}"
    kind = {"lora_down.weight": "down", "lora_up.weight": "up", "alpha": "alpha"}[match["kind"]]
    return dotted.get(flat, flat), kind  # an unknown module keeps its flat name for the message

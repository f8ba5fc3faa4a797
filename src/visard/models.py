"""What a person may call a model: a run folder, a diffusers folder, one file, a LoRA file, a hub id."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from visard.diffusion.backbone import Backbone
from visard.diffusion.folders import INDEX
from visard.diffusion.lora import load_lora
from visard.diffusion.single_file import holds_lora
from visard.diffusion.sources import ALIASES, HUB_ID
from visard.errors import InputError, ModelError
from visard.kits import Kit
from visard.personalization.record import RUN_FILE, Record
from visard.settings import from_toml

GUIDANCE = 7.5
"""Of a model that comes without a run; a run's own is that of its class pictures."""


@dataclass(frozen=True)
class Personalized:
    """A model ready to sample from, the words it was taught with if it says them, the guidance it suits."""

    backbone: Backbone
    prompt: str | None = None
    guidance: float = GUIDANCE


def load_model(model: str | Path, kit: Kit, base: str | Path | None = None) -> Personalized:
    """Load what `model` names; a LoRA needs the base model it was trained on (`base`, or the kit's).

    Raises ModelError.
    """
    path = Path(model)
    if (path / RUN_FILE).is_file():
        return _load_run(path, kit, base)
    if path.is_dir() and not (path / INDEX).is_file():
        stopped = (path / "checkpoint").is_dir()
        raise ModelError(
            f"The run in {path} is not finished." if stopped else f"There is no model in {path}.",
            "Give the personalize command again to finish it."
            if stopped
            else "Give a run folder, a diffusers folder, a checkpoint or a LoRA file.",
        )
    if path.is_file() and holds_lora(path):
        backbone = kit.backbone(base)
        load_lora(backbone, path)
        return Personalized(backbone)
    return Personalized(kit.backbone(model))


def choose_device(device: str) -> str:
    """The device that "auto" stands for, or `device` if this machine has it. Raises InputError."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"This machine has no device {device}.", "Use cpu, or leave it out.") from error
    return device


def _load_run(folder: Path, kit: Kit, base: str | Path | None) -> Personalized:
    record = from_toml(Record, folder / RUN_FILE)
    settings = record.settings
    known = (settings.prompts.instance, settings.prior.guidance)
    if settings.method == "dreambooth":
        return Personalized(kit.backbone(folder / "model"), *known)
    named = record.base_model["name"]
    backbone = _base_model(folder, named, kit, base)
    if backbone.fingerprint() != record.base_model["fingerprint"]:
        raise ModelError(
            f"{folder} was trained on another base model than {backbone.source}: on {named}.",
            "Name its base model with --base.",
        )
    load_lora(backbone, folder / "lora.safetensors")
    return Personalized(backbone, *known)


def _base_model(folder: Path, named: str, kit: Kit, base: str | Path | None) -> Backbone:
    """What a LoRA run was trained on: `base`, the kit's own, or what its record names."""
    if base is not None or named == Path(kit.contents.backbone).name:
        return kit.backbone(base)
    if named not in ALIASES and not HUB_ID.fullmatch(named) and not Path(named).exists():
        raise ModelError(
            f"{folder} was trained on {named}, a model on the disk; a record keeps its name, not its path.",
            "Say where it is with --base.",
        )
    return kit.backbone(named)

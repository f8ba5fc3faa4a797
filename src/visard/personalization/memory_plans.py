"""Memory plans: named sets of settings, each for a GPU of one size, and what changing between them means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from visard.diffusion.backbone import Backbone
from visard.errors import InputError, TrainingError, is_out_of_memory
from visard.personalization.checkpoint import differences
from visard.personalization.settings import Optimizer, PersonalizationSettings
from visard.settings import merged

AUTO = "auto"


@dataclass(frozen=True)
class Plan:
    """Settings for runs of Stable Diffusion 2.1 at 512 px on a GPU of `gigabytes`."""

    name: str
    gigabytes: float
    about: str
    settings: Mapping[str, Any]


_EXACT: dict[str, Any] = {
    "save_memory": True,
    "offload": True,
    "decoupling": {"micro_batch": 1},
    "fine_tuning": {"micro_batch": 1},
    "prior": {"batch": 2},
}
_HALF = merged(_EXACT, {"fine_tuning": {"precision": "bf16"}})
PLANS = {
    plan.name: plan
    for plan in (
        Plan("none", 48, "everything stays in memory and nothing is computed twice", {}),
        Plan(
            "32g",
            32,
            "activations are computed again in the backward pass, pictures pass one at a time, networks that "
            "are idle wait in the machine's memory; the same result up to rounding",
            _EXACT,
        ),
        Plan(
            "24g",
            24,
            "as 32g, with bf16 autocast over float32 weights and 8-bit moments of AdamW",
            merged(_HALF, {"fine_tuning": {"optimizer": "adamw_8bit"}}),
        ),
        Plan(
            "16g",
            16,
            "as 24g, with the moments paged out to the machine's memory",
            merged(_HALF, {"fine_tuning": {"optimizer": "paged_adamw_8bit"}}),
        ),
        Plan(
            "10g",
            10,
            "as 32g, with a LoRA in place of the whole model, over frozen weights in bf16",
            merged(_HALF, {"method": "lora", "prior": {"batch": 1}}),
        ),
    )
}
"""From the roomiest to the smallest."""
MOMENT_BYTES: dict[Optimizer, int] = {"adamw": 8, "adamw_8bit": 2, "paged_adamw_8bit": 0}
"""On the device, of each trained weight; from the largest to the smallest."""
OPTIMIZERS = list(MOMENT_BYTES)
SOLD = 0.9e9
"""Bytes that a gigabyte of a GPU has at least, as they are sold."""
ROOM = 0.4
"""Share of a GPU that weights, gradients and moments may take without a plan; activations want the rest."""


def choose(
    name: str, settings: PersonalizationSettings, backbone: Backbone, total: int | None = None
) -> Plan:
    """The plan called `name`; "auto": the roomiest for a device of `total` bytes. Raises InputError."""
    if name != AUTO:
        if name not in PLANS:
            raise InputError(
                f"There is no memory plan {name!r}.", f"Choose one of {', '.join([AUTO, *PLANS])}."
            )
        return PLANS[name]
    total = _device_memory(backbone.device) if total is None else total
    if total is None or standing_bytes(settings, backbone) <= ROOM * total:
        return PLANS["none"]
    *plans, smallest = [plan for plan in PLANS.values() if plan.settings]
    return next((plan for plan in plans if SOLD * plan.gigabytes <= total), smallest)


def standing_bytes(settings: PersonalizationSettings, backbone: Backbone) -> int:
    """Bytes that weights, gradients and the optimiser's moments take on the device, all run long."""
    sizes = {name: sum(each.numel() for each in net.parameters()) for name, net in backbone.networks.items()}
    vae, rest = sizes.pop("vae"), sum(sizes.values())
    if settings.method == "lora":
        return 4 * vae + rest * (2 if settings.fine_tuning.precision == "bf16" else 4)
    trained = rest if settings.train_text_encoder else sizes["unet"]
    moments = MOMENT_BYTES[settings.fine_tuning.optimizer]
    frozen = (rest - trained) + vae
    return trained * (4 + 4 + moments) + 4 * frozen


def applied(
    plan: Plan, settings: PersonalizationSettings, asked: Mapping[str, Any] | None = None
) -> PersonalizationSettings:
    """The same run under `plan`, or leaner where it already was; what was `asked` for by name stays.

    Raises InputError when the plan cannot train what was asked for.
    """
    asked = asked or {}
    method = plan.settings.get("method", settings.method)
    if asked.get("method", method) != method:
        raise InputError(
            f"The memory plan {plan.name} trains a LoRA, not the whole model.",
            "Ask for --method lora, or for a larger plan.",
        )
    after = settings.with_preset(plan.settings)
    # A LoRA's moments are a few megabytes: nothing to gain from 8 bits.
    both = (settings.fine_tuning.optimizer, after.fine_tuning.optimizer)
    optimizer = OPTIMIZERS[0] if after.method == "lora" else max(both, key=OPTIMIZERS.index)
    leaner = replace(
        after,
        fine_tuning=replace(after.fine_tuning, optimizer=optimizer),
        prior=replace(after.prior, batch=min(settings.prior.batch, after.prior.batch)),
    )
    return leaner.with_preset(asked)


def without_memory(settings: PersonalizationSettings) -> PersonalizationSettings:
    """The same run with all that saves memory and changes no more than the rounding at its default."""
    plain = PersonalizationSettings()
    tuning = settings.fine_tuning
    optimizer = "adamw_8bit" if tuning.optimizer == "paged_adamw_8bit" else tuning.optimizer
    return replace(
        settings,
        save_memory=plain.save_memory,
        offload=plain.offload,
        compile=plain.compile,
        fine_tuning=replace(tuning, micro_batch=plain.fine_tuning.micro_batch, optimizer=optimizer),
        prior=replace(settings.prior, batch=plain.prior.batch),
        decoupling=replace(settings.decoupling, micro_batch=plain.decoupling.micro_batch),
    )


def changes_of_result(before: PersonalizationSettings, after: PersonalizationSettings) -> list[str]:
    """Names of the settings that differ and make another result, with their values."""
    known = {"settings": asdict(without_memory(before))}
    return [
        each.removeprefix("settings.")
        for each in differences(known, {"settings": asdict(without_memory(after))})
    ]


def cheaper(settings: PersonalizationSettings) -> Plan | None:
    """The next plan that takes less than `settings`; None under the smallest."""
    plans = list(PLANS.values())
    held = [index for index, plan in enumerate(plans) if applied(plan, settings) == settings]
    return next((plan for plan in plans[held[-1] + 1 :] if applied(plan, settings) != settings), None)


@contextmanager
def memory_errors(settings: PersonalizationSettings) -> Iterator[None]:
    """Turn a full memory into a TrainingError that names the next plan and what it changes."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError("The memory of this machine or its GPU is full.", advice(settings)) from error


def advice(settings: PersonalizationSettings) -> str:
    """What to do when a run under `settings` does not fit."""
    plan = cheaper(settings)
    if plan is None:
        return (
            "It already runs under the smallest plan. Close other programs that use the GPU, choose a "
            "smaller base model, set decoupling.decoder to a TAESD, or use --device cpu."
        )
    changed = changes_of_result(settings, applied(plan, settings))
    if not changed:
        return (
            f"Give the same command with --memory {plan.name}: it goes on from the last checkpoint (without "
            "--no-resume), and the result is the same up to rounding."
        )
    return (
        f"Give the same command with --memory {plan.name} and --no-resume (or another folder): it begins "
        f"anew, as this changes the result: {', '.join(changed)}."
    )


def description(plan: Plan, settings: PersonalizationSettings, backbone: Backbone) -> str:
    """`plan` in words, and what stays in memory under it; activations come on top."""
    standing = standing_bytes(settings, backbone) / 1e9
    lines = [
        f"Memory plan {plan.name} (made for a GPU of {plan.gigabytes:g} GB): {plan.about}.",
        f"Weights, gradients and moments take {standing:.1f} GB; activations come on top.",
    ]
    if settings.compile:
        lines.append("The UNet is compiled: its first steps are slow.")
    return "\n".join(lines)


def _device_memory(device: torch.device) -> int | None:
    """Bytes of a GPU; None for a CPU, whose memory others share and which swaps before it fails."""
    if device.type != "cuda":
        return None
    return int(torch.cuda.get_device_properties(device).total_memory)

"""Samplers by name: how a trained noise schedule is walked back when generating."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    UniPCMultistepScheduler,
)

from visard.errors import InputError

SCHEDULERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "dpm++": (DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++", "solver_order": 2}),
    "dpm++-karras": (
        DPMSolverMultistepScheduler,
        {"algorithm_type": "dpmsolver++", "solver_order": 2, "use_karras_sigmas": True},
    ),
    "ddim": (DDIMScheduler, {}),
    "ddpm": (DDPMScheduler, {}),
    "euler": (EulerDiscreteScheduler, {}),
    "euler-a": (EulerAncestralDiscreteScheduler, {}),
    "unipc": (UniPCMultistepScheduler, {}),
}


def build_scheduler(name: str, config: Mapping[str, Any]) -> Any:
    """The sampler `name` for a model's `scheduler_config.json`. Raises InputError for unknown names."""
    if name not in SCHEDULERS:
        raise InputError(f"There is no sampler '{name}'.", f"Use one of: {', '.join(SCHEDULERS)}.")
    kind, options = SCHEDULERS[name]
    return kind.from_config(dict(config), **options)

"""AdamW as fine-tuning uses it: with float32 moments, or with moments of 8 bits (Dettmers et al. 2022)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from visard.errors import ModelError
from visard.personalization.settings import FineTuningSettings

TABLES = ("qmap1", "qmap2")
"""Constants that an 8-bit optimiser keeps beside its moments: the values its 256 codes stand for."""


def build_optimizer(
    parameters: Mapping[str, nn.Parameter], settings: FineTuningSettings, learning_rate: float
) -> torch.optim.Optimizer:
    """The optimiser that `settings` name. Raises ModelError when the library it needs is not installed."""
    options: dict[str, Any] = {
        "lr": learning_rate,
        "betas": (settings.beta1, settings.beta2),
        "eps": settings.epsilon,
        "weight_decay": settings.weight_decay,
    }
    on_gpu = any(parameter.device.type == "cuda" for parameter in parameters.values())
    if settings.optimizer == "adamw":
        # Fused: the default makes temporary copies as large as the weights, and takes a fifth of a small
        # model's step on a CPU.
        return torch.optim.AdamW(parameters.values(), fused=True, **options)
    library = _bitsandbytes(settings.optimizer)
    for parameter in parameters.values():  # its kernels read moments and weights in one order
        parameter.data = parameter.data.contiguous()
    paged = on_gpu and settings.optimizer == "paged_adamw_8bit"
    kind = library.optim.PagedAdamW8bit if paged else library.optim.AdamW8bit
    optimizer: torch.optim.Optimizer = kind(list(parameters.values()), **options)
    return optimizer


def optimizer_state(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]
) -> dict[str, Tensor]:
    """What the optimiser has gathered, as `name/slot`."""
    return {
        f"{name}/{slot}": torch.as_tensor(value)
        for name, parameter in parameters.items()
        for slot, value in optimizer.state.get(parameter, {}).items()
        if slot not in TABLES
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter], slots: Mapping[str, Tensor]
) -> None:
    """Continue from what `optimizer_state` returned."""
    for key, value in slots.items():
        name, slot = key.rsplit("/", 1)
        parameter = parameters[name]
        state = optimizer.state[parameter]
        if isinstance(optimizer, torch.optim.AdamW):
            # The fused kernel reads moments and weights in one order: in memory they must lie alike.
            alike = value.shape == parameter.shape
            state[slot] = torch.empty_like(parameter).copy_(value) if alike else value.to(parameter.device)
            continue
        if slot not in state:  # in the optimiser's own buffers, which may be paged ones
            _first_state(optimizer, parameter)
        if slot == "step":
            state[slot] = int(value)
        else:
            state[slot].copy_(value)


def _first_state(optimizer: Any, parameter: nn.Parameter) -> None:
    (group,) = optimizer.param_groups
    index = next(i for i, each in enumerate(group["params"]) if each is parameter)
    optimizer.init_state(group, parameter, 0, index)


def _bitsandbytes(optimizer: str) -> Any:
    try:
        with warnings.catch_warnings():  # of what torch deprecates and it uses
            warnings.simplefilter("ignore")
            import bitsandbytes
    except ImportError as error:
        raise ModelError(
            f'fine_tuning.optimizer = "{optimizer}" needs bitsandbytes, which is not installed.',
            'Install it (pip install "visard[memory]"), or choose --memory 32g or 10g, which do without.',
        ) from error
    return bitsandbytes

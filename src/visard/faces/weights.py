"""Published weights into a network, strictly: what does not fit exactly is refused with the reason."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.serialization import safe_globals

from visard.errors import ModelError
from visard.storage import load_tensors

PICKLED = {".pth", ".pt", ".ckpt", ".bin", ".tar"}
BYSTANDERS = (
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.callbacks.lr_monitor.LearningRateMonitor",
    "pytorch_lightning.utilities.parsing.AttributeDict",
)
"""Classes that Lightning names beside the weights: a table stands in for them, none of its code runs."""
CHECK_ROW = "Check the row's architecture and config, or whether this is the file that was meant."
DAMAGED = "It may be damaged; copy or download it again."


def load_weights(
    network: nn.Module, file: str | Path, *, state: str = "", prefix: str = "", advice: str = CHECK_ROW
) -> None:
    """Load every key of `file` (safetensors, or a torch file read without running its code) into `network`.

    state: the entry of a checkpoint that holds the weights (Lightning: "state_dict").
    prefix: what the wanted keys begin with ("model."); other keys are left out.
    advice: what to do about other keys or shapes.
    Raises ModelError: no such file, damaged, other keys or shapes, numbers that are not finite.
    """
    tensors = _read(Path(file), state)
    if prefix:
        tensors = {
            key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
        }
    _check_finite(file, tensors)
    expected = network.state_dict()
    # How often BatchNorm was updated is not needed to use it, and many published files leave it out.
    counters = {key for key in expected if key.endswith("num_batches_tracked")}
    if misfit := _misfit(tensors, expected, counters, prefix):
        raise ModelError(f"{file}{misfit}.", advice)
    network.load_state_dict({**{key: expected[key] for key in counters}, **tensors}, strict=True)


def _read(file: Path, state: str) -> dict[str, Tensor]:
    if file.suffix not in PICKLED:
        tensors, _ = load_tensors(file)
        return tensors
    try:
        with safe_globals([(OrderedDict, name) for name in BYSTANDERS]):
            content: Any = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(f"There is no file {file}.", "Check the path.") from error
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{file} holds more than weights, and loading it would run code: {error}.",
            "Save its tensors alone as safetensors, in a place where you trust the file.",
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ModelError(f"{file} cannot be read: {error}.", DAMAGED) from error
    if state:
        if not isinstance(content, dict) or state not in content:
            raise ModelError(f"{file} has no entry {state!r}.", CHECK_ROW)
        content = content[state]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ModelError(f"{file} is not a table of tensors.", "Name the entry that holds them as `state`.")
    return content


def _check_finite(file: str | Path, tensors: dict[str, Tensor]) -> None:
    for key, value in tensors.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise ModelError(f"{file}: {key} holds numbers that are not finite.", DAMAGED)
        if key.endswith("running_var") and bool((value < 0).any()):
            raise ModelError(f"{file}: {key} holds negative variances.", DAMAGED)


def _misfit(tensors: dict[str, Tensor], expected: dict[str, Tensor], optional: set[str], prefix: str) -> str:
    """What keys or shapes are wrong, as the end of a sentence about the file; "" if none is."""
    missing = sorted(expected.keys() - tensors.keys() - optional)
    if missing:
        return f" lacks {len(missing)} of {len(expected)} weights, {prefix}{missing[0]} among them"
    unknown = sorted(tensors.keys() - expected.keys())
    if unknown:
        return f" has {len(unknown)} weights the network has not, {prefix}{unknown[0]} among them"
    for key, value in tensors.items():
        if value.shape != expected[key].shape:
            found, wanted = tuple(value.shape), tuple(expected[key].shape)
            return f": {prefix}{key} has shape {found} where {wanted} is needed"
    return ""

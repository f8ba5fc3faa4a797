"""From a checked diffusers folder to networks and tokenizers, strictly: nothing missing, nothing NaN."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors import SafetensorError
from torch import nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from visard.diffusion.folders import (
    INDEX,
    PIPELINES,
    SCHEDULER_CONFIG,
    TEXT_ENCODERS,
    not_finite,
    pipeline_of,
    read_json,
    variant_of,
    weight_files,
)
from visard.errors import ModelError

NETWORKS: dict[str, Any] = {
    "vae": AutoencoderKL,
    "unet": UNet2DConditionModel,
    "text_encoder": CLIPTextModel,
    "text_encoder_2": CLIPTextModelWithProjection,
}
AGAIN = "Copy or download the whole model again."


@dataclass
class Parts:
    """What a model is made of; the text encoders and tokenizers are one (SD 1.x, 2.x) or two (SDXL)."""

    vae: Any
    unet: Any
    text_encoders: Sequence[Any]
    tokenizers: Sequence[Any]
    scheduler_config: dict[str, Any]
    zeros_for_empty: bool = False
    """SDXL: whether an empty prompt is zeros instead of an embedding."""
    files: dict[str, Path] = field(default_factory=dict)
    """The weight files they came from."""


def load_folder(folder: Path, dtype: torch.dtype) -> Parts:
    """Load the parts of a complete model folder; the autoencoder in float32 at least. Raises ModelError."""
    parts = PIPELINES[pipeline_of(folder)]
    encoders = [part for part in TEXT_ENCODERS if part in parts]
    return Parts(
        _load_network(folder, "vae", autoencoder_dtype(dtype)),
        _load_network(folder, "unet", dtype),
        [_load_network(folder, part, dtype) for part in encoders],
        [load_tokenizer(folder / part.replace("text_encoder", "tokenizer")) for part in encoders],
        read_json(folder / "scheduler" / SCHEDULER_CONFIG),
        len(encoders) > 1 and bool(read_json(folder / INDEX).get("force_zeros_for_empty_prompt", True)),
        weight_files(folder),
    )


def autoencoder_dtype(dtype: torch.dtype) -> torch.dtype:
    """Activations of the autoencoder overflow half precision, SDXL's own (not its "fp16-fix") above all."""
    return torch.promote_types(dtype, torch.float32)


def load_tokenizer(folder: Path, **options: Any) -> Any:
    """A CLIP tokenizer. Raises ModelError."""
    try:
        with quiet():
            return CLIPTokenizer.from_pretrained(folder, **options)
    except Exception as error:  # the Rust tokenizers raise plain Exception on damaged files
        raise ModelError(f"{folder} cannot be loaded: {error}", AGAIN) from error


def load_network(kind: Any, folder: Path, **options: Any) -> Any:
    """Load one network strictly: the libraries would fill in what is missing with random weights.

    kind: its class, with `from_pretrained`, which gets the options. Raises ModelError.
    """
    try:
        with quiet():
            network, report = kind.from_pretrained(
                folder, use_safetensors=True, local_files_only=True, output_loading_info=True, **options
            )
    except (OSError, ValueError, RuntimeError, TypeError, KeyError, SafetensorError) as error:
        raise ModelError(f"{folder} cannot be loaded: {error}", AGAIN) from error
    for name in ("missing_keys", "mismatched_keys"):
        if names := sorted(map(str, report[name])):
            what = name.removesuffix("_keys")
            raise ModelError(f"{folder} has {len(names)} {what} weights, such as {names[0]}.", AGAIN)
    refuse_not_finite(network, str(folder))
    return network


def refuse_not_finite(network: nn.Module, what: str) -> None:
    """Raise ModelError when the network holds NaN or infinity."""
    if names := not_finite(network):
        raise ModelError(
            f"{what} has NaN or infinite weights in {len(names)} tensors, such as {names[0]}.",
            "The training that wrote it went wrong; use an earlier checkpoint or the original model.",
        )


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and load reports from transformers; what matters in them is checked and raised."""
    settings: Any = transformers.utils.logging
    bars, level = settings.is_progress_bar_enabled(), settings.get_verbosity()
    settings.disable_progress_bar()
    settings.set_verbosity_error()
    try:
        yield
    finally:
        settings.set_verbosity(level)
        if bars:
            settings.enable_progress_bar()


def _load_network(folder: Path, part: str, dtype: torch.dtype) -> Any:
    options = {
        "dtype" if part in TEXT_ENCODERS else "torch_dtype": dtype,
        "variant": variant_of(folder, part),
    }
    return load_network(NETWORKS[part], folder / part, **options)

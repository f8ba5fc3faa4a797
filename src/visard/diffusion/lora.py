"""Low-rank adaptation (Hu et al. 2022) of the attention projections: add, save, load, merge."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from safetensors.torch import save
from torch import Tensor, nn

from visard.diffusion import lora_formats
from visard.diffusion.backbone import Backbone
from visard.diffusion.folders import TEXT_ENCODERS, TEXT_PREFIX
from visard.diffusion.ldm_names import LdmNames
from visard.diffusion.lora_formats import Factors
from visard.errors import ModelError
from visard.storage import atomic_write, load_tensors

UNET_TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")

# Width of the text embeddings -> what other programs sort LoRA files by.
ARCHITECTURES = {
    768: "stable-diffusion-v1/lora",
    1024: "stable-diffusion-v2-512/lora",
    2048: "stable-diffusion-xl-v1-base/lora",
}
V2_768 = "stable-diffusion-v2-768-v/lora"


def add_lora(
    backbone: Backbone,
    rank: int = 16,
    text_encoder: bool = False,
    generator: torch.Generator | None = None,
) -> None:
    """Attach a LoRA (alpha = rank, float32) that changes nothing yet; its weights alone need gradients.

    `text_encoder`: also to the text encoder, of SDXL to both.
    `generator`: of the initial down factors; default: seed 0.
    """
    backbone.freeze()
    _attach(backbone.unet, _config(rank, UNET_TARGETS))
    for encoder in backbone.text_encoders if text_encoder else ():
        _attach(encoder, _config(rank, TEXT_TARGETS))
    generator = generator or torch.Generator().manual_seed(0)
    for _, layer in _lora_layers(backbone):
        adapter = layer.active_adapters[-1]
        down, up = layer.lora_A[adapter].float(), layer.lora_B[adapter].float()
        start = torch.empty(down.weight.shape)
        nn.init.kaiming_uniform_(start, a=math.sqrt(5), generator=generator)
        with torch.no_grad():
            down.weight.copy_(start)
            up.weight.zero_()


def save_lora(
    backbone: Backbone, path: str | Path, *, title: str = "", trigger: str = ""
) -> tuple[Path, Path]:
    """Write the attached LoRA as a diffusers / PEFT file at `path` and a kohya file beside it; returns both.

    The header holds the model family, the given `title` and `trigger`, and a hash: nothing of this machine.
    Raises ModelError without a LoRA, StorageError.
    """
    lora = attached_lora(backbone)
    if not lora:
        raise ModelError("The model has no LoRA to save.", "Add one first (add_lora).")
    path = Path(path)
    kohya = kohya_twin(path)
    files = {path: lora_formats.to_peft(lora), kohya: lora_formats.to_kohya(lora, _xl_names(backbone))}
    for file, tensors in files.items():
        atomic_write(file, save(tensors, _header(backbone, tensors, title, trigger)))
    return path, kohya


def kohya_twin(path: Path) -> Path:
    """Where `save_lora` writes the same in kohya's naming."""
    return path.with_name(f"{path.stem}.kohya{path.suffix}")


def load_lora(backbone: Backbone, path: str | Path, scale: float = 1.0) -> None:
    """Attach a LoRA file of diffusers / PEFT or kohya naming, frozen; several add up. Raises ModelError."""
    tensors, header = load_tensors(path)
    modules = dict(_modules(backbone))
    lora = lora_formats.read(tensors, header, modules, path, _xl_names(backbone))
    _check_fit(lora, modules, path)
    for part, network in backbone.adaptable.items():
        ranks = {
            _actual_path(network, module): factors.rank
            for module, factors in lora.items()
            if module.startswith(f"{part}.")
        }
        if ranks:
            config = _config(max(ranks.values()), tuple(ranks))
            config.rank_pattern = config.alpha_pattern = ranks
            _attach(network, config)
    for module, layer in _lora_layers(backbone):
        if module in lora:
            adapter = list(layer.lora_A)[-1]
            down, up = layer.lora_A[adapter].float(), layer.lora_B[adapter].float()
            with torch.no_grad():
                down.weight.copy_(lora[module].down)
                up.weight.copy_(lora[module].up * scale)
        layer.set_adapter(list(layer.lora_A))
    backbone.freeze()


def merge_lora(backbone: Backbone) -> None:
    """Add the attached LoRAs to the weights they change and detach them."""
    networks: list[Any] = list(backbone.adaptable.values())
    for network in networks:
        for name, module in list(network.named_modules()):
            if isinstance(module, LoraLayer):
                merging: Any = module
                merging.merge()
                parent, _, child = name.rpartition(".")
                setattr(network.get_submodule(parent), child, merging.get_base_layer())
        if getattr(network, "peft_config", None):
            del network.peft_config
            network._hf_peft_config_loaded = False


def attached_lora(backbone: Backbone) -> dict[str, Factors]:
    """The attached LoRAs by module path, on the CPU; several are joined along the rank: they add up."""
    lora = {}
    for module, layer in _lora_layers(backbone):
        adapters = layer.active_adapters
        downs = [layer.lora_A[name].weight.detach().cpu() for name in adapters]
        ups = [layer.lora_B[name].weight.detach().cpu() * layer.scaling[name] for name in adapters]
        lora[module] = Factors(torch.cat(downs), torch.cat(ups, dim=1))
    return lora


def _config(rank: int, targets: tuple[str, ...]) -> LoraConfig:
    return LoraConfig(r=rank, lora_alpha=rank, target_modules=list(targets))


def _attach(network: Any, config: LoraConfig) -> None:
    with warnings.catch_warnings():  # peft warns of a second adapter, which is meant here
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")
        network.add_adapter(config, f"lora{len(getattr(network, 'peft_config', {}))}")


def _modules(backbone: Backbone) -> Iterator[tuple[str, Any]]:
    """Every module of UNet and text encoders by its path in LoRA files, less `text_model.`."""
    for part, network in backbone.adaptable.items():
        for name, module in network.named_modules():
            yield f"{part}.{name.removeprefix(TEXT_PREFIX) if part in TEXT_ENCODERS else name}", module


def _lora_layers(backbone: Backbone) -> Iterator[tuple[str, Any]]:
    return ((path, module) for path, module in _modules(backbone) if isinstance(module, LoraLayer))


def _xl_names(backbone: Backbone) -> LdmNames | None:
    return LdmNames.of(backbone.unet) if backbone.is_xl else None


def _actual_path(network: Any, module: str) -> str:
    path = module.partition(".")[2]
    return TEXT_PREFIX + path if hasattr(network, "text_model") else path


def _check_fit(lora: Mapping[str, Factors], modules: Mapping[str, Any], path: str | Path) -> None:
    strangers = [module for module in lora if module not in modules]
    for module, factors in lora.items():
        if module not in strangers:
            weight = getattr(modules[module], "weight", torch.empty(0))
            ends = (factors.up.shape[0], factors.down.shape[1], factors.up.shape[1])
            if ends != (*weight.shape[:2], factors.rank):
                strangers.append(module)
    if strangers:
        raise ModelError(
            f"{path} was made for another model: {len(strangers)} of its {len(lora)} layers do not fit, "
            f"such as {strangers[0]}.",
            "Use it with the base model it was trained on.",
        )
    broken = [module for module, f in lora.items() if not (f.down.isfinite().all() and f.up.isfinite().all())]
    if broken:
        raise ModelError(
            f"{path} has NaN or infinite weights, such as in {broken[0]}.",
            "The training that wrote it went wrong; use an earlier checkpoint.",
        )


def _header(backbone: Backbone, tensors: Mapping[str, Tensor], title: str, trigger: str) -> dict[str, str]:
    """The modelspec minimum. An allow-list: what is not named here cannot leak."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    width, predicted = backbone.unet.config.cross_attention_dim, backbone.schedule.prediction_type
    known = ARCHITECTURES.get(width, "stable-diffusion/lora")
    architecture = V2_768 if (width, predicted) == (1024, "v_prediction") else known
    return {
        "format": "pt",
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": architecture,
        "modelspec.implementation": "diffusers",
        "modelspec.title": title,
        "modelspec.trigger_phrase": trigger,
        "modelspec.hash_sha256": f"0x{digest.hexdigest()}",
    }

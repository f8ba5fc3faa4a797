"""What a Stable Diffusion or SDXL model folder (diffusers layout) holds: checking one, writing one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from visard.errors import ModelError

INDEX = "model_index.json"
SCHEDULER_CONFIG = "scheduler_config.json"

SD, SDXL = "StableDiffusionPipeline", "StableDiffusionXLPipeline"
TEXT_ENCODERS = {"text_encoder": "CLIPTextModel", "text_encoder_2": "CLIPTextModelWithProjection"}
WEIGHTS = {
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
    **dict.fromkeys(TEXT_ENCODERS, "model.safetensors"),
}
TOKENIZER = (("vocab.json", "tokenizer.json"), ("merges.txt", "tokenizer.json"))


def half_precision(file: str) -> str:
    """The name diffusers gives to the fp16 variant of a weight file."""
    return file.replace(".safetensors", ".fp16.safetensors")


# Each part's files are alternatives grouped by need: one name of every group must be there.
PARTS: dict[str, tuple[tuple[str, ...], ...]] = {
    **{
        part: (("config.json",), (file, f"{file}.index.json", half_precision(file)))
        for part, file in WEIGHTS.items()
    },
    "tokenizer": TOKENIZER,
    "tokenizer_2": TOKENIZER,
    "scheduler": ((SCHEDULER_CONFIG,),),
}
PIPELINES = {
    SD: ("unet", "vae", "text_encoder", "tokenizer", "scheduler"),
    SDXL: ("unet", "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler"),
}
PRIVATE_KEYS = ("_name_or_path", "name_or_path", "is_local", "local_files_only")
PICKLES = (".bin", ".ckpt", ".pt", ".pth")

# Older and other programs know the text encoder's tensors under this level; transformers >= 5.6 dropped it.
TEXT_PREFIX = "text_model."


def missing_parts(folder: Path) -> list[str]:
    """Files that a complete model folder needs and this one lacks, as `part/file`."""
    if not (folder / INDEX).is_file():
        return [INDEX]
    missing = []
    for part in PIPELINES.get(pipeline_of(folder), PIPELINES[SD]):
        for names in PARTS[part]:
            if not any((folder / part / name).is_file() for name in names):
                missing.append(f"{part}/{names[0]}")
        missing += [f"{part}/{name}" for name in _missing_shards(folder / part, WEIGHTS.get(part))]
    return missing


def check_folder(folder: Path) -> None:
    """Raise a ModelError that names everything wrong with the folder's files."""
    if not (folder / INDEX).is_file():
        raise ModelError(
            f"{folder} is not a diffusers model folder: it has no {INDEX}.",
            f"Give the folder that holds {INDEX} and {'/, '.join(PIPELINES[SD])}/.",
        )
    kind = pipeline_of(folder)
    if kind not in PIPELINES:
        raise ModelError(
            f"{folder} holds a {kind}, and only Stable Diffusion 1.x, 2.x and SDXL models are supported.",
            f"Use a model whose model_index.json says {SD} or {SDXL}.",
        )
    missing = missing_parts(folder)
    if not missing:
        return
    weights = [name for name in missing if name.endswith(".safetensors")]
    pickled = [name for name in weights if _has_pickle((folder / name).parent)]
    if pickled:
        raise ModelError(
            f"{folder} has its weights as pickle files where safetensors are needed: {', '.join(pickled)}.",
            "A pickle can run any program when opened, so it is never loaded. Get the model's safetensors "
            "version, or convert it with diffusers (save_pretrained writes safetensors) if you trust it.",
        )
    raise ModelError(
        f"{folder} is incomplete; missing: {', '.join(missing)}.", "Copy or download the whole model again."
    )


def pipeline_of(folder: Path) -> str:
    """The name of the diffusers pipeline that a model folder says it is. Raises ModelError."""
    return str(read_json(folder / INDEX).get("_class_name"))


def variant_of(folder: Path, part: str) -> str | None:
    """ "fp16" where a part's weights are there in that variant alone."""
    file = WEIGHTS[part]
    whole = any((folder / part / name).is_file() for name in (file, f"{file}.index.json"))
    return None if whole else "fp16"


def weight_files(folder: Path) -> dict[str, Path]:
    """The weight files that a model folder is loaded from, by `part/file`."""
    files = {}
    for part in PIPELINES[pipeline_of(folder)]:
        if part in WEIGHTS:
            name = half_precision(WEIGHTS[part]) if variant_of(folder, part) else WEIGHTS[part]
            names = [name] if (folder / part / name).is_file() else _shards(folder / part, name)
            files.update({f"{part}/{each}": folder / part / each for each in names})
    return files


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a model folder. Raises ModelError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}.", "Copy or download the model again.") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} is not a JSON object.", "Copy or download the model again.")
    return content


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON without the entries in which the libraries record where they loaded from."""
    public = {key: value for key, value in content.items() if key not in PRIVATE_KEYS}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(public, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write_part(folder: Path, part: str, module: Any, dtype: torch.dtype | None = None) -> None:
    """Write a network's config and weights (`dtype`: on disk, default as in memory) to `folder/part`."""
    described = module.config if part in TEXT_ENCODERS else module  # transformers' way, diffusers' way
    write_json(folder / part / "config.json", json.loads(described.to_json_string()))
    tensors = {
        _public_name(part, name): tensor.detach().to(device="cpu", dtype=dtype or tensor.dtype).contiguous()
        for name, tensor in module.state_dict().items()
    }
    save_file(tensors, folder / part / WEIGHTS[part], {"format": "pt"})


def write_tokenizer(folder: Path, tokenizer: Any, part: str = "tokenizer") -> None:
    """Write a CLIP tokenizer in its new (tokenizer.json) and its old form (vocab.json, merges.txt)."""
    target = folder / part
    tokenizer.save_pretrained(target)
    tokenizer.backend_tokenizer.model.save(str(target))
    write_json(target / "tokenizer_config.json", read_json(target / "tokenizer_config.json"))


def write_index(
    folder: Path, scheduler_config: Mapping[str, Any], pipeline: str = SD, *, zeros_for_empty: bool = True
) -> None:
    """Write the scheduler's config and the model_index.json that ties the parts together.

    `zeros_for_empty`: SDXL alone; whether an empty prompt is zeros instead of an embedding.
    """
    write_json(folder / "scheduler" / SCHEDULER_CONFIG, scheduler_config)
    index: dict[str, Any] = {
        "_class_name": pipeline,
        "_diffusers_version": diffusers.__version__,
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "scheduler": ["diffusers", scheduler_config["_class_name"]],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    if pipeline == SDXL:
        index["force_zeros_for_empty_prompt"] = zeros_for_empty
        index["text_encoder_2"] = ["transformers", "CLIPTextModelWithProjection"]
        index["tokenizer_2"] = ["transformers", "CLIPTokenizer"]
    else:
        index["requires_safety_checker"] = False
        index["safety_checker"] = [None, None]
    write_json(folder / INDEX, index)


def not_finite(module: nn.Module) -> list[str]:
    """Names of the tensors that hold NaN or infinity."""
    return [name for name, tensor in module.state_dict().items() if not _finite(tensor)]


def _finite(tensor: Tensor) -> bool:
    # A sum in float64 is finite exactly when its terms are; unlike isfinite().all() it makes no mask as large
    # as the tensor.
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor.sum(dtype=torch.float64)))


def _public_name(part: str, name: str) -> str:
    if part == "text_encoder" and not name.startswith(TEXT_PREFIX):
        return TEXT_PREFIX + name
    return name


def bare_name(part: str, name: str) -> str:
    """A weight's name whichever version of transformers gave it: some leave out a prefix."""
    return name.removeprefix(TEXT_PREFIX) if part == "text_encoder" else name


def _missing_shards(folder: Path, weights: str | None) -> list[str]:
    if weights is None or (folder / weights).is_file():
        return []
    return [shard for shard in _shards(folder, weights) if not (folder / shard).is_file()]


def _shards(folder: Path, weights: str) -> list[str]:
    index = folder / f"{weights}.index.json"
    return sorted(set(read_json(index).get("weight_map", {}).values())) if index.is_file() else []


def _has_pickle(folder: Path) -> bool:
    return folder.is_dir() and any(file.suffix in PICKLES for file in folder.iterdir())

"""What a model file holds, and what it tells about whoever made it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from visard.errors import ModelError

CONFIGURATION = re.compile(r"(config|model_index)\.json$")
PICKLES = {".bin", ".ckpt", ".pt", ".pth", ".pkl"}
# What a header may say without telling anything of its maker: the format, and the architecture of the model.
PUBLIC_KEYS = re.compile(
    r"format|visard|modelspec\.(sai_model_spec|architecture|implementation|title|trigger_phrase|resolution"
    r"|prediction_type|hash_sha256|encoder_layer|license)|ss_(base_model_version|network_(dim|alpha|module)|v2)|"
    r"lora_adapter_metadata"
)
USER_PATH = re.compile(
    r"(^|[\s\"'=])(/(home|Users|root|mnt|media|tmp|workspace|data)/|~/|[A-Za-z]:\\|\\\\)[^\s\"',]*"
)
LORA_DOWN = re.compile(r"\.(lora_down|lora_A|lora\.down)(\.\w+)?\.weight$")


def inspect(path: str | Path) -> dict[str, Any]:
    """What a .safetensors file, a run folder or a model folder holds, and under "leaks" what it tells.

    Raises ModelError; a pickle is never opened.
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise ModelError(f"There is no file {path}.", "Check the path.")
    if path.suffix.lower() in PICKLES:
        raise ModelError(
            f"{path} is a pickle, which can run any program when it is opened.",
            "It was not opened. Ask for a safetensors file.",
        )
    return _tensors(path)


def _tensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            header: dict[str, str] = file.metadata() or {}
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
            types = Counter(str(file.get_slice(name).get_dtype()) for name in shapes)
            alphas = {float(file.get_tensor(name)) for name in shapes if name.endswith(".alpha")}
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path} is not a whole safetensors file: {error}.", "It may be cut short; copy it again."
        ) from error
    down = [name for name in shapes if LORA_DOWN.search(name)]
    return {
        "file": str(path),
        "kind": _kind(down),
        "tensors": len(shapes),
        "parameters": sum(_count(shape) for shape in shapes.values()),
        "types": dict(types),
        "bytes": path.stat().st_size,
        "rank": sorted({shapes[name][0] for name in down}),
        "alpha": sorted(alphas),
        "text_encoder": any(re.search(r"(^|_|\.)(te\d?|text_encoder)(_|\.)", name) for name in down),
        "metadata": {key: _parsed(value) for key, value in header.items()},
        "leaks": sorted(_header_leaks(header)),
    }


def _folder(folder: Path) -> dict[str, Any]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    parts = [_tensors(file) for file in files if file.suffix == ".safetensors"]
    if not parts:
        raise ModelError(f"{folder} holds no safetensors file.", "Give a model folder or a run folder.")
    leaks = {f"{Path(part['file']).relative_to(folder)}: {leak}" for part in parts for leak in part["leaks"]}
    for file in files:
        if CONFIGURATION.search(file.name):
            text = file.read_text(encoding="utf-8", errors="replace")
            leaks |= {
                f"{file.relative_to(folder)}: {found.group().strip()}" for found in USER_PATH.finditer(text)
            }
    kind = "model folder" if (folder / "model_index.json").exists() else "folder"
    return {
        "file": str(folder),
        "kind": "run folder" if (folder / "run.toml").exists() else kind,
        "tensors": sum(part["tensors"] for part in parts),
        "parameters": sum(part["parameters"] for part in parts),
        "bytes": sum(file.stat().st_size for file in files),
        "parts": {str(Path(part["file"]).relative_to(folder)): part["parameters"] for part in parts},
        "pickles": [str(file.relative_to(folder)) for file in files if file.suffix in PICKLES],
        "leaks": sorted(leaks),
    }


def _kind(down: list[str]) -> str:
    if not down:
        return "weights"
    return "LoRA (kohya naming)" if any(".lora_down." in name for name in down) else "LoRA (PEFT naming)"


def _header_leaks(header: Mapping[str, str]) -> Iterator[str]:
    for key, value in header.items():
        path = USER_PATH.search(value)
        if path:
            yield f"{key} holds the path {path.group().strip()}"
        elif not PUBLIC_KEYS.fullmatch(key):
            yield f"{key} = {value if len(value) <= 60 else value[:57] + '...'}"


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _count(shape: list[int]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count

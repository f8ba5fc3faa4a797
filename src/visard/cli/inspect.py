"""`visard inspect`: what a model file holds, and what it tells about whoever made it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from visard.cli.console import result


def inspect(
    file: Annotated[Path, typer.Argument(help="A .safetensors file, a run folder or a diffusers folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what a LoRA or model file holds: tensors, rank, and metadata that leak.

    Trainers write folder names, captions and dates into the files they make. Look before you share one.

    \b
    visard inspect runs/me/lora.safetensors
    visard inspect downloaded.safetensors --json
    """
    from visard.inspection import inspect as look  # visard.api's, which takes seconds to import

    values = look(file)
    result(values, as_json, _text(values))


def _text(values: Mapping[str, Any]) -> str:
    lines = [f"{values['file']}: {values['kind']}"]
    lines.append(
        f"{values['tensors']} tensors, {values['parameters']:,} parameters, {values['bytes'] / 1e6:.1f} MB"
    )
    for name in ("types", "rank", "alpha", "parts"):
        found = values.get(name)
        if found:
            each = [f"{key} {value:,}" for key, value in found.items()] if isinstance(found, dict) else found
            lines.append(f"{name}: {', '.join(str(item) for item in each)}")
    for name in values.get("pickles", []):
        lines.append(f"not opened, as a pickle can run any program: {name}")
    leaks = values["leaks"]
    lines.append("It tells about its maker:" if leaks else "Nothing in it tells about its maker.")
    return "\n".join(lines + [f"  {leak}" for leak in leaks])

"""Sample pictures of a person with a personalised model."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visard.api.kits import opened
from visard.diffusion import sampling
from visard.errors import InputError
from visard.images import save_image
from visard.kits import Kit
from visard.models import Personalized, load_model
from visard.progress import Progress, silent
from visard.storage import atomic_write, claimed

REQUEST_FILE = "generate.json"
BATCH = 8


def generate(
    model: str | Path | Personalized,
    out: str | Path,
    prompt: str | None = None,
    count: int = 4,
    *,
    seed: int = 0,
    steps: int = 25,
    guidance: float | None = None,
    negative_prompt: str = "",
    base: str | Path | None = None,
    kit: str | Path | Kit = "world",
    device: str = "auto",
    progress: Progress = silent,
) -> list[Path]:
    """Sample `count` pictures of `prompt` (default: the words of the training) into the folder `out`.

    `guidance`: by default that of the run's class pictures, 7.5 for a model without a run. Pictures that an
    earlier call with the same request has left there are kept.
    Raises InputError, ModelError, StorageError; BusyError when another command is at work in the folder.
    """
    out = Path(out)
    loaded = model if isinstance(model, Personalized) else load_model(model, opened(kit, device), base)
    words = prompt or loaded.prompt
    if not words:
        raise InputError("This model does not say what it was taught.", "Say what to show with --prompt.")
    strength = loaded.guidance if guidance is None else guidance
    request = {
        "model": loaded.backbone.fingerprint(),
        "prompt": words,
        "negative_prompt": negative_prompt,
        "seed": seed,
        "steps": steps,
        "guidance": strength,
    }
    files = [out / f"{index:04d}.png" for index in range(count)]
    with claimed(out):
        _same_request(out, request)
        missing = [index for index, file in enumerate(files) if not file.exists()]
        for start in range(missing[0] if missing else count, count, BATCH):
            size = min(BATCH, count - start)
            pictures = sampling.generate(
                loaded.backbone,
                words,
                size,
                seed=seed,
                steps=steps,
                guidance=strength,
                batch=size,
                negative_prompt=negative_prompt,
                first=start,
                progress=_part(progress, start * steps, count * steps),
            )
            for file, picture in zip(files[start : start + size], pictures, strict=True):
                save_image(picture, file)
    return files


def _same_request(out: Path, request: Mapping[str, Any]) -> None:
    """Pictures of two requests in one folder could not be told apart: a folder belongs to the first one.

    The model stands there under a name of this folder's own: two folders must not tell that one drew both.
    """
    file = out / REQUEST_FILE
    if not any(out.glob("[0-9][0-9][0-9][0-9].png")):
        written = {**request, "model": _masked(request["model"], secrets.token_hex(8))}
        atomic_write(file, (json.dumps(written, indent=2) + "\n").encode())
        return
    try:
        there = json.loads(file.read_text(encoding="utf-8"))
        salt = there["model"].partition("-")[0]
        same = there == {**request, "model": _masked(request["model"], salt)}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        same = False
    if not same:
        raise InputError(
            f"{out} holds pictures of another request.", "Choose another folder, or delete that one."
        )


def _masked(model: str, salt: str) -> str:
    """A fingerprint that can be recognised by whoever has the model."""
    return f"{salt}-{hashlib.sha256(f'{salt} {model}'.encode()).hexdigest()[:16]}"


def _part(progress: Progress, done_before: int, whole: int) -> Progress:
    def report(stage: str, done: int, total: int, **figures: float) -> None:
        progress(stage, done_before + done, whole, **figures)

    return report

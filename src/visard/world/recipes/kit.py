"""Assembles kit.toml from the cards of the trained models: what ships is what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tomli_w

from visard.errors import ModelError
from visard.faces.architectures.reduced import REDUCED
from visard.storage import atomic_write, sha256
from visard.world.recipes import Job
from visard.world.recipes.autoencoder import FOLDER
from visard.world.recipes.recognizers import PLANS
from visard.world.sampling import sample

GALLERY_PEOPLE = 112
GALLERY_PHOTOS = 2

PERSONALIZATION: dict[str, Any] = {
    "fine_tuning": {"steps": 700, "learning_rate": 5e-4, "prior_weight": 0.5, "precision": "bf16"},
    "lora": {"learning_rate": 4e-3},
    "prior": {"count": 32, "sampler_steps": 15, "guidance": 3.0},
    "previews": {"sampler_steps": 15, "guidance": 3.0},
    "decoupling": {"micro_batch": 4},
}
"""Settings that suit the micro model; the paper's own are for one a hundred times larger."""

PROTECTION: dict[str, Any] = {
    "micro_batch": 4,
    "surrogate": {"learning_rate": 5e-4, "prior_weight": 0.5},
    "prior": PERSONALIZATION["prior"],
    "methods": {
        "fsmg": {"surrogate_steps": 120},
        "aspl": {"rounds": 20},
        "targeted-aspl": {"rounds": 20},
        "simac": {"rounds": 14, "probes": 3, "window": 50},
        "anti-diffusion": {
            "epochs": 2,
            "prompt_steps": 15,
            "unet_steps": 15,
            "pgd_steps": 20,
            "map_side": 8,
        },
        "caat": {"steps": 200, "learning_rate": 5e-4},
    },
}
"""At most a minute of one core for four photos; what is not named here is as in the papers."""


def build(name: str, job: Job) -> dict[str, Any]:
    """Write `job.out / kit.toml` and render the gallery of strangers beside it. Raises ModelError."""
    rows = {role: _row(job.out, role) for role in ("detector", "landmarks", "matcher", "describer")}
    recognizers = [_row(job.out, f"{REDUCED[each].role}s/{each}") for each in PLANS]
    regressors = _row(job.out, "regressors")
    contents: dict[str, Any] = {
        "name": "world",
        "licence": "Apache-2.0",
        "backbone": FOLDER,
        "gallery": "gallery",
        "detector": rows["detector"],
        "landmarks": rows["landmarks"],
        "matcher": rows["matcher"],
        "features": rows["matcher"],
        "personalization": PERSONALIZATION,
        "protection": PROTECTION,
        "describer": rows["describer"],
        "sha256": {
            row["file"]: sha256(job.out / row["file"]) for row in [*rows.values(), *recognizers, regressors]
        },
        "recognizers": recognizers,
        "regressors": [regressors],
    }
    sample(
        job.out / "gallery",
        GALLERY_PEOPLE,
        GALLERY_PHOTOS,
        split="gallery",
        truth=False,
        progress=job.progress,
    )
    atomic_write(job.out / "kit.toml", tomli_w.dumps(contents).encode())
    atomic_write(job.out / "README.md", _overview(job.out).encode())
    return {"recognizers": len(recognizers), "strangers": GALLERY_PEOPLE}


def _overview(folder: Path) -> str:
    """Every card's scores on one page."""
    lines = [
        "# The models of the embedded world",
        "",
        "Trained on renders of people who do not exist, and measured on others whom no model has seen. Each",
        "has a card of its own beside its weights; `visard world check` measures again what they",
        "have to show, the detector with its landmarks refined.",
        "",
        "| model | measured | value |",
        "|---|---|---|",
    ]
    for card in sorted(folder.rglob("*.json")):
        content = json.loads(card.read_text())
        if not isinstance(content, dict) or "scores" not in content:
            continue
        name = card.relative_to(folder).with_suffix("").as_posix()
        lines += [f"| {name} | {what} | {value:.4g} |" for what, value in content["scores"].items()]
    return "\n".join([*lines, ""])


def _row(folder: Path, name: str) -> dict[str, Any]:
    card = folder / f"{name}.json"
    if not card.is_file():
        raise ModelError(f"{card} is missing.", f"Run the recipe '{Path(name).name}' first.")
    row: dict[str, Any] = json.loads(card.read_text())["row"]
    return row

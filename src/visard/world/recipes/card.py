"""What a recipe leaves behind: float16 weights, and a card with the scores measured on that very file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from visard.errors import ModelError
from visard.storage import atomic_write, save_tensors
from visard.world.recipes import Job
from visard.world.recipes.training import Trained


def export(network: nn.Module, file: Path, row: Mapping[str, Any]) -> None:
    """Weights as float16 safetensors, the kit's row without its file in the header.

    BatchNorm's counters are left out.
    """
    tensors = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    save_tensors(file, tensors, {key: value for key, value in row.items() if key != "file"})


def parameters(network: nn.Module) -> int:
    """How many numbers a network learnt."""
    return sum(parameter.numel() for parameter in network.parameters())


def write_card(
    file: Path,
    *,
    title: str,
    purpose: str,
    facts: Mapping[str, Any],
    scores: Mapping[str, float],
    row: Mapping[str, Any],
) -> None:
    """`file`.md for people and `file`.json for programs: facts of the training, scores, the kit's row."""
    lines = [f"# {title}", "", purpose, "", "| fact | value |", "|---|---|"]
    lines += [f"| {name} | {_show(value)} |" for name, value in facts.items()]
    lines += ["", "Measured on the shipped file, on people it was never trained on:", ""]
    lines += ["| score | value |", "|---|---|"]
    lines += [f"| {name} | {_show(value)} |" for name, value in scores.items()]
    lines += ["", "No real person was involved: every training picture is a render of a procedural one.", ""]
    atomic_write(file.with_suffix(".md"), "\n".join(lines).encode())
    content = {"title": title, "facts": dict(facts), "scores": dict(scores), "row": dict(row)}
    atomic_write(file.with_suffix(".json"), (json.dumps(content, indent=2) + "\n").encode())


def _show(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def training_facts(
    trained: Trained, job: Job, file: Path, *networks: nn.Module, batch: int, **more: Any
) -> dict[str, Any]:
    """The facts every card has: what was trained, on `more`, for how long, and on top of what."""
    earlier = {} if job.start is None else {"steps of the weights it began with": _steps(job, file)}
    return {
        "parameters": sum(map(parameters, networks)),
        **more,
        "seed": job.seed,
        **earlier,
        "steps": trained.steps,
        "pictures seen": trained.steps * batch,
        "minutes": round(trained.seconds / 60, 1),
        "device": job.device,
        "torch": torch.__version__,
    }


def _steps(job: Job, file: Path) -> int:
    """Steps of all trainings behind the weights that a job begins with, as their card tells."""
    assert job.start is not None
    card = job.start / file.relative_to(job.out).with_suffix(".json")
    if not card.is_file():
        raise ModelError(f"{card} is missing.", "A folder to start from holds its models' cards too.")
    facts = json.loads(card.read_text())["facts"]
    return int(facts["steps"]) + int(facts.get("steps of the weights it began with", 0))

"""A finished unit: its figures, and the files that hold them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from visard.benchmark.protocol import SCORED_BY, Protocol, Unit
from visard.benchmark.scoring import SCORING
from visard.errors import ModelError
from visard.storage import atomic_write, load_tensors

RESULT_FILE = "result.json"
SIMILARITIES_FILE = "similarities.safetensors"
"""Of every picture to everybody in the gallery, by every recogniser: `scoring.Examination`."""
REDRAWN_FILE = "redrawn.safetensors"
"""Shares under redrawn thresholds, from there as well."""


@dataclass(frozen=True)
class Result:
    """A finished unit. `seconds` holds the stages that its last sitting did from their beginning."""

    unit: Unit
    scores: dict[str, Any]
    seconds: dict[str, float]
    redrawn: dict[str, Tensor] = field(default_factory=dict, repr=False, compare=False)


def read_result(unit: Unit, protocol: Protocol, out: Path) -> Result | None:
    """The unit's result, or None if it is not there, not whole, or another unit's."""
    try:
        stored = json.loads((unit.folder(out) / RESULT_FILE).read_text(encoding="utf-8"))
        if (
            stored["key"] != unit.key(protocol)
            or stored["scoring"] != SCORING
            or stored.get(SCORED_BY, {}) != protocol.scored_by
            or set(stored["scores"]["prompts"]) != set(protocol.sampling.prompts)
        ):
            return None
        redrawn, _ = load_tensors(unit.folder(out) / REDRAWN_FILE)
        return Result(unit, stored["scores"], stored["seconds"], redrawn)
    except (OSError, ValueError, KeyError, TypeError, ModelError):
        return None


def write_result(
    unit: Unit,
    protocol: Protocol,
    out: Path,
    scores: Mapping[str, Any],
    seconds: Mapping[str, float],
    described: Mapping[str, Any],
) -> None:
    """Write the file that says that the unit is done; described: what else tells how it was made."""
    whole = {
        "key": unit.key(protocol),
        "scoring": SCORING,
        SCORED_BY: protocol.scored_by,
        **described,
        "seconds": dict(seconds),
        "scores": dict(scores),
    }
    atomic_write(unit.folder(out) / RESULT_FILE, json.dumps(whole, indent=1, allow_nan=False).encode())


def seconds_of(unit: Unit, protocol: Protocol, out: Path) -> dict[str, float]:
    """What the stages of this very unit took, by whatever rules it was scored; {} where that is not known."""
    try:
        stored = json.loads((unit.folder(out) / RESULT_FILE).read_text(encoding="utf-8"))
        return dict(stored["seconds"]) if stored["key"] == unit.key(protocol) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}

"""Attacks that are kept: written with a key of all that they depend on, read where the key is the same."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from visard.attacks.result import AttackTier, as_tree
from visard.errors import InputError
from visard.settings import from_table
from visard.storage import atomic_write

KEY = "key"
PROPERTIES = ("claim", "cautions")
"""Of a tier, that its figures give."""
ESTIMATES = ("at_rate", "control", "false_positives")
"""Of a tier, that may be None."""


def keep(file: Path, found: Sequence[AttackTier], key: str) -> None:
    """Write the tiers as a JSON file. Raises StorageError."""
    tree = {KEY: key, **as_tree(found)}
    atomic_write(file, (json.dumps(tree, indent=1, allow_nan=False) + "\n").encode())


def kept(file: Path, key: str) -> list[AttackTier] | None:
    """The tiers of a JSON file, or None if it is not there, not whole, or another key's."""
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
        return [_tier(each) for each in tree["tiers"]] if tree[KEY] == key else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError):
        return None


def _tier(tree: dict[str, Any]) -> AttackTier:
    return from_table(
        AttackTier, _figures({name: value for name, value in tree.items() if name not in PROPERTIES})
    )


def _figures(value: Any) -> Any:
    """A figure that does not exist is null in JSON, and NaN."""
    if isinstance(value, dict):
        return {
            name: None if item is None and name in ESTIMATES else _figures(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_figures(item) for item in value]
    return math.nan if value is None else value

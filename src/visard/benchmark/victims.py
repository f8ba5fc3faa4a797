"""Arms that train on X_0 alone, perturbed or not: by which names, and how."""

from __future__ import annotations

from typing import Any

PERTURBED = {
    "anti-dreambooth": "aspl",
    "simac": "simac",
    "anti-diffusion": "anti-diffusion",
    "random": "random",
    "fsmg": "fsmg",
    "targeted-aspl": "targeted-aspl",
    "advdm": "advdm",
    "mist": "mist",
    "photoguard": "photoguard",
    "caat": "caat",
}
"""Arms that train on perturbed photos -> names in visard.protection.methods.METHODS."""
ALIASES = {"aspl": "anti-dreambooth"}
"""What visard protect calls an arm."""
HALF = "half"
"""The arm that trains on X_0 as it is: what half of the photos do by themselves."""
SETTINGS: dict[str, Any] = {"defence": "none", "fine_tuning": {"alternate": False}}
"""Plain DreamBooth: whoever has the photos knows nothing of X_c and X'."""


def split_marks(name: str) -> tuple[str, list[str]]:
    """The arm's own name, and what follows it, each after a plus."""
    first, *marks = name.split("+")
    return ALIASES.get(first, first), marks


def is_victim(name: str) -> bool:
    """Whether an arm is one of these, whatever follows its name."""
    return split_marks(name)[0] in (*PERTURBED, HALF)

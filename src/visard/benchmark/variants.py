"""Variants: one setting differs from rho = 0.1, or, of "early-N" and "together", from no defence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from typing import Any

from visard.errors import InputError

BASE_RHO = 0.1
"""The paper's default."""


@dataclass(frozen=True)
class Variant:
    """Settings on top of the protocol's; surrogates: how many of the kit's, from the first; 0: all."""

    settings: Mapping[str, Any]
    surrogates: int = 0


def _setting(name: str, kind: Callable[[str], Any] = float) -> Callable[[str], Variant]:
    return lambda text: Variant(_defended({name: kind(text)}))


def _defended(decoupling: Mapping[str, Any]) -> dict[str, Any]:
    return {"defence": "iddm", "decoupling": {"rho": BASE_RHO, **decoupling}}


NUMBERED: dict[str, Callable[[str], Variant]] = {
    "eta": _setting("radius"),
    "tau": _setting("tau"),
    "rounds": _setting("rounds", int),
    "tmax": _setting("t_max", int),
    "early": lambda text: Variant({"defence": "none", "fine_tuning": {"steps": int(text)}}),
    "surrogates": lambda text: Variant(_defended({}), int(text)),
}
"""Kind -> what its number means: "eta-0.05"."""
MEASURED = ("eta", "tau")
"""Kinds whose numbers need not be whole."""
NAMED: dict[str, Variant] = {
    "joint": Variant(_defended({"schedule": "joint"})),
    "floored": Variant(_defended({"stage_split": "floor"})),
    "unit-range": Variant(_defended({"pixel_range": "[0,1]"})),
    "round-anchor": Variant(_defended({"anchor": "round"})),
    "detached": Variant(_defended({"detach_weights": True})),
    "impostor": Variant(_defended({"floor": "impostor"})),
    "together": Variant({"defence": "none", "fine_tuning": {"alternate": False}}),
}
"""The last trains on all photos together, as plain DreamBooth does, without Algorithm 1's turns."""


def find_variant(name: str) -> Variant | None:
    """The variant of that name, None if it names none. Raises InputError for a number that is none."""
    if name in NAMED:
        return NAMED[name]
    kind, dash, number = name.partition("-")
    if not dash or kind not in NUMBERED:
        return None
    return NUMBERED[kind](_number(name, kind, number))


def canonical(name: str) -> str:
    """The one name of an arm: "eta-0.10" is "eta-0.1". Raises InputError for a number that is none."""
    kind, dash, number = name.partition("-")
    return f"{kind}-{_number(name, kind, number)}" if dash and kind in NUMBERED else name


def _number(name: str, kind: str, text: str) -> str:
    """A positive number, as short as it can be written, whole where it counts something."""
    with suppress(ValueError):
        number = float(text)
        if number > 0 and isfinite(number) and (kind in MEASURED or number == int(number)):
            return f"{number:g}"
    whole = "" if kind in MEASURED else "whole "
    raise InputError(f"There is no arm {name!r}.", f"Write {kind}- and a {whole}number above 0.")

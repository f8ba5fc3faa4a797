"""The methods by name. A new one is a file with a class, its line here and in `cli/protect.py`."""

from __future__ import annotations

from visard.errors import InputError
from visard.protection.advdm import Advdm
from visard.protection.anti_diffusion import AntiDiffusion
from visard.protection.aspl import Aspl
from visard.protection.caat import Caat
from visard.protection.fsmg import Fsmg
from visard.protection.method import Method
from visard.protection.mist import Mist
from visard.protection.photoguard import Photoguard
from visard.protection.random_signs import RandomSigns
from visard.protection.simac import Simac
from visard.protection.targeted_aspl import TargetedAspl

METHODS: dict[str, type[Method]] = {
    "random": RandomSigns,
    "fsmg": Fsmg,
    "aspl": Aspl,
    "targeted-aspl": TargetedAspl,
    "simac": Simac,
    "anti-diffusion": AntiDiffusion,
    "advdm": Advdm,
    "mist": Mist,
    "photoguard": Photoguard,
    "caat": Caat,
}


def find_method(name: str) -> type[Method]:
    """The method of that name. Raises InputError."""
    if name not in METHODS:
        raise InputError(f"There is no method {name!r}.", f"Choose one of {', '.join(METHODS)}.")
    return METHODS[name]

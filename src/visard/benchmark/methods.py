"""Every method a benchmark knows, by name: the arms, variants of the defended one, and perturbed photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from torch import Tensor

from visard.benchmark.arms import Arm, arm
from visard.benchmark.variants import find_variant
from visard.errors import InputError
from visard.faces.detector import Face

CLEAN_TOO = "clean"
PERTURBED = {
    "anti-dreambooth": "aspl",
    "simac": "simac",
    "anti-diffusion": "anti-diffusion",
    "random": "random",
    "fsmg": "fsmg",
    "advdm": "advdm",
    "mist": "mist",
    "photoguard": "photoguard",
    "caat": "caat",
}
"""Arms that train on perturbed photos -> names in visard.protection.methods.METHODS."""


@dataclass(frozen=True)
class Method:
    """An arm, and what it does besides: perturb X_0 before it trains, or use only the first surrogates.

    Of perturbed photos a victim sees these alone, as their papers have it, or, `clean_too`, X_c as well
    (decision 15). surrogates: how many; 0: all.
    """

    arm: Arm
    perturb: str = ""
    clean_too: bool = False
    surrogates: int = 0


@lru_cache
def find_method(name: str) -> Method:
    """The method of a name: as `arms.arm` has it, a variant ("eta-0.05"), or "simac" and "simac+clean".

    Raises InputError.
    """
    base, plus, rest = name.partition("+")
    if base in PERTURBED and (not plus or rest == CLEAN_TOO):
        return Method(Arm(name, "trained", {"defence": "none"}), PERTURBED[base], clean_too=bool(plus))
    variant = find_variant(name)
    if variant is not None:
        return Method(Arm(name, "trained", variant.settings), surrogates=variant.surrogates)
    return Method(arm(name))


@dataclass
class Remembered:
    """A detector that finds what was found in the photos before they were perturbed.

    Whether a photo can be trained on is decided on the photo itself: a method must not gain from photos in
    which this detector no longer finds the face.
    """

    name: str
    setting: str
    faces: Sequence[list[Face]]

    def detect(self, images: Tensor) -> list[list[Face]]:
        """The faces of the photos, in their order. Raises InputError for another number of pictures."""
        if len(images) != len(self.faces):
            raise InputError(f"{len(images)} pictures for {len(self.faces)} photos.", "Give all of them.")
        return list(self.faces)

"""Every method a benchmark knows, by name: the arms, variants of the defended one, and perturbed photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from torch import Tensor

from visard.benchmark.arms import Arm, arm
from visard.benchmark.variants import find_variant
from visard.benchmark.victims import HALF, PERTURBED, SETTINGS, split_marks
from visard.errors import InputError
from visard.faces.detector import Face
from visard.protection.methods import METHODS

CLEAN_TOO, RELEASED = MARKS = ("clean", "released")
"""What may follow the name of an arm of PERTURBED, each after a plus and in this order."""


@dataclass(frozen=True)
class Method:
    """An arm, and what it does besides: perturb X_0 before it trains, or use only the first surrogates.

    Of perturbed photos a victim sees these alone, as their papers have it, or, `clean_too`, X_c as well
    (decision 15). released: perturbed as the public code does it. half: X_0 alone, unperturbed. surrogates:
    how many; 0: all.
    """

    arm: Arm
    perturb: str = ""
    clean_too: bool = False
    released: bool = False
    half: bool = False
    surrogates: int = 0


@lru_cache
def find_method(name: str) -> Method:
    """The method of a name: as `arms.arm` has it, a variant ("eta-0.05"), or one of PERTURBED.

    Those are "simac", "simac+clean", "simac+released" and "simac+clean+released". Raises InputError.
    """
    base, marks = split_marks(name)
    if name == HALF:
        return Method(Arm(name, "trained", SETTINGS), half=True)
    if base in PERTURBED:
        return _perturbing(base, marks)
    variant = find_variant(name)
    if variant is not None:
        return Method(Arm(name, "trained", variant.settings), surrogates=variant.surrogates)
    try:
        return Method(arm(name))
    except InputError as error:
        raise InputError(error.message, f"{error.advice} Or {', '.join([HALF, *PERTURBED])}.") from error


def _perturbing(base: str, marks: Sequence[str]) -> Method:
    """The arm of a name in PERTURBED, under the one name it has with these marks."""
    name = "+".join([base, *(mark for mark in MARKS if mark in marks)])
    if set(marks) - set(MARKS):
        raise InputError(
            f"There is no arm {'+'.join([base, *marks])!r}.",
            f"After {base} there may be {' and '.join(f'+{mark}' for mark in MARKS)}.",
        )
    if RELEASED in marks and not METHODS[PERTURBED[base]].released:
        raise InputError(
            f"No difference between the paper and the public code of {base} is known.",
            f"Leave out +{RELEASED}.",
        )
    row = Arm(name, "trained", SETTINGS)
    return Method(row, PERTURBED[base], clean_too=CLEAN_TOO in marks, released=RELEASED in marks)


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

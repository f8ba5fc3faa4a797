"""Every method a benchmark knows, by name: the arms, variants of the defended one, and perturbed photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from torch import Tensor

from visard.benchmark.arms import STRANGERS, Arm, arm, exchanged, redrawn
from visard.benchmark.protocol import AT
from visard.benchmark.variants import canonical, find_variant
from visard.benchmark.victims import HALF, PERTURBED, SETTINGS, split_marks
from visard.errors import InputError
from visard.faces.detector import Face
from visard.protection.methods import METHODS

CLEAN_TOO, RELEASED, FULL, ETA = MARKS = ("clean", "released", "full", "eta")
"""What may follow the name of an arm of PERTURBED, each after a plus and in this order; "eta" as "eta-X"."""
OF_THE_MODEL = ("map_side", "learning_rate")
"""Settings of methods that go by the base model: a kit's stand where all others are the paper's."""

ARMS = {
    "none": "no defence: DreamBooth in the turns of Algorithm 1",
    "together": "no defence, on all photos together, as plain DreamBooth trains",
    "half": "no defence, together, on the half of the photos that the defence optimises, as they are",
    "early-N": "no defence, N steps in all",
    "0 to 1": "the defence at that rho: 0 is the most private",
    "eta-X, tau-X, rounds-N, tmax-N": "rho = 0.1 with another radius, tau, number of rounds, t_max",
    "surrogates-N": "rho = 0.1 with the first N of the kit's surrogates",
    "joint": "rho = 0.1, both losses in every step instead of two stages",
    "floored, unit-range, round-anchor, detached": "rho = 0.1, decisions 1, 2, 3 and 13 the other way",
    "impostor": "rho = 0.1, the identity loss down to strangers' level (decision 14)",
    **{name: f"photos that visard protect perturbs with {method}" for name, method in PERTURBED.items()},
    "METHOD+clean": "such a method, its victim trained on as many clean photos besides",
    "METHOD+released": "such a method as its public code has it, where that is known to differ",
    "METHOD+full": "such a method with all the steps of its paper, where the kit has fewer",
    "METHOD+eta-X": "such a method with another radius",
    "attributes": "nothing trained: the base model, told in words what the person looks like",
    "pixelate-N, blur-N": "the pictures of none with the faces covered",
    "strangers, strangers-ARM": "another person's pictures of none, or of ARM: linked by chance alone",
    "strength-S": "the models of none with S times what training changed, as a LoRA turned down",
    "ARM@G": "what the models of a trained arm draw at guidance G",
}
"""Names that an arm may have, as they are written, and what each stands for."""


@dataclass(frozen=True)
class Method:
    """An arm, and what it does besides: perturb X_0 before it trains, or use only the first surrogates.

    Of perturbed photos a victim sees these alone, as their papers have it, or, `clean_too`, X_c as well
    (decision 15). protection: settings of `visard protect` on top of the protocol's. radius: instead of the
    protocol's, in the same units. half: X_0 alone, unperturbed. surrogates: how many; 0: all.
    """

    arm: Arm
    perturb: str = ""
    clean_too: bool = False
    protection: Mapping[str, Any] = field(default_factory=dict)
    radius: float | None = None
    half: bool = False
    surrogates: int = 0


@lru_cache
def find_method(name: str) -> Method:
    """The method of a name: as `arms.arm` has it, a variant ("eta-0.05"), or one of PERTURBED.

    Those are "simac", "simac+clean", "simac+released", "simac+full+eta-0.1" and so on; "simac@7.5" draws
    from the models of "simac", "strangers-simac" has its pictures of other people. Raises InputError.
    """
    kind, _, whose = name.partition("-")
    if kind == STRANGERS:
        return Method(exchanged(find_method(whose).arm if whose else None))
    source, at, guidance = name.rpartition(AT)
    if at:
        return Method(redrawn(find_method(source).arm, guidance))
    base, marks = split_marks(name)
    if name == HALF:
        return Method(Arm(name, "trained", SETTINGS), half=True)
    if base in PERTURBED:
        return _perturbing(base, marks)
    name = canonical(name)
    variant = find_variant(name)
    if variant is not None:
        return Method(Arm(name, "trained", variant.settings), surrogates=variant.surrogates)
    try:
        return Method(arm(name))
    except InputError as error:
        raise InputError(error.message, "visard bench arms lists those that there are.") from error


def _perturbing(base: str, marks: Sequence[str]) -> Method:
    """The arm of a name in PERTURBED, under the one name it has with these marks."""
    by_kind = {_kind(mark): mark for mark in marks}
    if set(by_kind) - set(MARKS) or len(by_kind) < len(marks):
        raise InputError(
            f"There is no arm {'+'.join([base, *marks])!r}.",
            f"After {base} there may be +{CLEAN_TOO}, +{RELEASED}, +{FULL} and +{ETA}-X, each once.",
        )
    found = {kind: canonical(by_kind[kind]) for kind in MARKS if kind in by_kind}
    return Method(
        Arm("+".join([base, *found.values()]), "trained", SETTINGS),
        perturb=PERTURBED[base],
        clean_too=CLEAN_TOO in found,
        protection=_protection(base, RELEASED in found, FULL in found),
        radius=float(found[ETA].partition("-")[2]) if ETA in found else None,
    )


def _kind(mark: str) -> str:
    """Which of MARKS it is, "" for none."""
    kind, dash, _ = mark.partition("-")
    return kind if bool(dash) == (kind == ETA) else ""


def _protection(base: str, released: bool, full: bool) -> dict[str, Any]:
    """Settings of a protection from what follows an arm's name. Raises InputError for what it has not."""
    method, settings = METHODS[PERTURBED[base]], dict[str, Any]()
    if released:
        if not method.released:
            raise InputError(
                f"No difference between the paper and the public code of {base} is known.",
                f"Leave out +{RELEASED}.",
            )
        settings["fidelity"] = "released"
    if full:
        if method.options_type is None:
            raise InputError(f"{base} has no steps to take more of.", f"Leave out +{FULL}.")
        own = {
            name: value for name, value in asdict(method.options_type()).items() if name not in OF_THE_MODEL
        }
        settings["methods"] = {PERTURBED[base]: own}
    return settings


@dataclass
class Remembered:
    """A detector that finds what was found in the photos before they were perturbed.

    Whether a photo can be trained on is decided on the photo itself: a method must not gain from photos in
    which this detector no longer finds the face.
    """

    name: str
    setting: str
    weights: str
    faces: Sequence[list[Face]]

    def detect(self, images: Tensor) -> list[list[Face]]:
        """The faces of the photos, in their order. Raises InputError for another number of pictures."""
        if len(images) != len(self.faces):
            raise InputError(f"{len(images)} pictures for {len(self.faces)} photos.", "Give all of them.")
        return list(self.faces)

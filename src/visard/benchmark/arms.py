"""Arms beyond the privacy dial, as rows: how each comes to its pictures.

A trained arm is settings on top of the protocol's, as `protocol.arm_settings` has them; the others take the
pictures of another arm, or of the untrained base model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from visard.benchmark.attributes_only import describe, read_attributes
from visard.benchmark.posthoc import COVERS, cover_faces
from visard.benchmark.protocol import AT, NONE, Sampling, arm_settings
from visard.benchmark.variants import find_variant
from visard.diffusion.backbone import Backbone
from visard.diffusion.sampling import generate
from visard.errors import InputError
from visard.faces.detector import Detector
from visard.faces.regressor import FaceRegressor

ATTRIBUTES, STRANGERS, STRENGTH = "attributes", "strangers", "strength"


@dataclass(frozen=True)
class Arm:
    """One row. kind: "trained" with `settings`; "prompted"; the others change arm `of`, by `strength`.

    "covered" and "exchanged" change its pictures; "redrawn" has new ones of its models, "weakened" of what is
    left of these models' training.
    """

    name: str
    kind: Literal["trained", "prompted", "covered", "exchanged", "redrawn", "weakened"]
    settings: Mapping[str, Any] = field(default_factory=dict)
    of: str = ""
    method: str = ""
    strength: float = 0.0

    @property
    def draws(self) -> bool:
        """Whether it draws from the models of another arm."""
        return self.kind in ("redrawn", "weakened")


def arm(name: str) -> Arm:
    """The arm a name stands for. Raises InputError.

    "none", a value of rho, a variant such as "early-N"; "attributes"; "pixelate-N" and "blur-N" of the
    undefended pictures, N as in `posthoc`; "strength-S" of the undefended models. Of whatever arm
    `methods.find_method` knows there are two more: for "ARM@G" see `redrawn`, for "strangers" and
    "strangers-ARM" `exchanged`.
    """
    kind, _, rest = name.partition("-")
    if name == ATTRIBUTES:
        return Arm(name, "prompted")
    if kind in COVERS:
        return Arm(name, "covered", of=NONE, method=kind, strength=_number(name, rest))
    if kind == STRENGTH:
        strength = _number(name, rest)
        return Arm(f"{STRENGTH}-{strength:g}", "weakened", of=NONE, strength=strength)
    if name != NONE and find_variant(name) is None:
        _number(name, name)
    return Arm(name, "trained", arm_settings(name))


def redrawn(source: Arm, guidance: str) -> Arm:
    """The arm that draws from a trained arm's models at another guidance. Raises InputError."""
    name = f"{source.name}{AT}{guidance}"
    if source.kind != "trained":
        raise InputError(f"There is no arm {name!r}.", f"{source.name} has no models to draw from.")
    strength = _number(name, guidance)
    return Arm(f"{source.name}{AT}{strength:g}", "redrawn", of=source.name, strength=strength)


def exchanged(source: Arm | None) -> Arm:
    """The arm that has other people's pictures of an arm; None: of the undefended one."""
    if source is None:
        return Arm(STRANGERS, "exchanged", of=NONE)
    return Arm(f"{STRANGERS}-{source.name}", "exchanged", of=source.name)


def attributes_pictures(
    backbone: Backbone,
    photos: Tensor,
    detector: Detector,
    regressors: Sequence[FaceRegressor],
    sampling: Sampling,
    *,
    seed: Callable[[str], int],
    guidance: float,
) -> dict[str, Tensor]:
    """Pictures (P, 3, H, W) of the untrained base model for each prompt, whose subject is the description.

    seed: of a prompt.
    """
    whole = describe(read_attributes(photos, detector, regressors))
    described = whole.removeprefix("a photo of ")
    return {
        prompt: generate(
            backbone,
            f"{prompt.partition(' of ')[0] or 'a photo'} of {described}",
            sampling.pictures,
            seed=seed(prompt),
            steps=sampling.steps,
            guidance=guidance,
        )
        for prompt in sampling.prompts
    }


def covered_pictures(row: Arm, pictures: Mapping[str, Tensor], detector: Detector) -> dict[str, Tensor]:
    """Another arm's pictures, prompt -> (P, 3, H, W), with the faces covered as the row says."""
    return {
        prompt: cover_faces(each, detector, row.method, row.strength) for prompt, each in pictures.items()
    }


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not number > 0 and text != "0":
        raise InputError(
            f"There is no arm {name!r}.",
            "visard bench arms lists those that there are.",
        )
    return number

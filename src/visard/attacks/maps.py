"""Maps from what the tool draws to who it is, learned from other people (T4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from visard.attacks.inputs import FEWEST_TO_LEARN_FROM
from visard.attacks.searches import decidability

Fit = Callable[[Tensor, Tensor, float], Tensor]
"""Centred generated (N, D), centred real (N, D), strength -> weight (D, D)."""


@dataclass(frozen=True)
class LinearMap:
    """Generated x -> (x - input_mean) W, compared with real y - output_mean; zero rows stay zero."""

    weight: Tensor
    input_mean: Tensor
    output_mean: Tensor
    name: str

    def probe(self, rows: Tensor) -> Tensor:
        """Generated rows (P, D) where the real ones are."""
        return F.normalize((rows - self.input_mean) @ self.weight, dim=1) * rows.any(1, keepdim=True)

    def template(self, rows: Tensor) -> Tensor:
        """Gallery entries (G, D) for comparing with `probe`."""
        return F.normalize(rows - self.output_mean, dim=1) * rows.any(1, keepdim=True)


def ridge(generated: Tensor, real: Tensor, strength: float) -> Tensor:
    """Least squares, penalised for departing from the identity: with few people the rest is left as it is."""
    identity = torch.eye(generated.shape[1], dtype=generated.dtype)
    gram = generated.T @ generated + strength * len(generated) * identity
    correction: Tensor = torch.linalg.solve(gram, generated.T @ (real - generated))
    return identity + correction


def procrustes(generated: Tensor, real: Tensor, strength: float) -> Tensor:
    """The nearest rotation (Schönemann 1966), drawn towards the identity by `strength`."""
    identity = torch.eye(generated.shape[1], dtype=generated.dtype)
    left, _, right = torch.linalg.svd(generated.T @ real / len(generated) + strength * identity)
    rotation: Tensor = left @ right
    return rotation


def centred(generated: Tensor, real: Tensor, strength: float) -> Tensor:
    """Only the means are taken off: undoes a constant that was added."""
    return torch.eye(generated.shape[1], dtype=generated.dtype)


FITS: dict[str, tuple[Fit, tuple[float, ...]]] = {
    "centred": (centred, (0.0,)),
    "procrustes": (procrustes, (1e-6, 1e-4, 1e-3, 1e-2)),
    "ridge": (ridge, (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)),
}
"""Each way to fit with the strengths that are tried; a direction in D = 512 has a variance of .002."""


def fit(name: str, strength: float, generated: Tensor, real: Tensor) -> LinearMap:
    """Fit rows of pairs (N, D), both unit rows."""
    x, y = generated.double(), real.double()
    means = x.mean(0), y.mean(0)
    weight = FITS[name][0](x - means[0], y - means[1], strength)
    label = name if len(FITS[name][1]) == 1 else f"{name} {strength:g}"
    return LinearMap(weight.float(), means[0].float(), means[1].float(), label)


def learn(
    generated: Tensor,
    owner: Tensor,
    prototypes: Tensor,
    folds: int,
    generator: torch.Generator,
) -> LinearMap | None:
    """The map that best tells held-out people from one another and from the others, fitted on everybody.

    generated (N, D), owner (N,) in 0..S-1, prototypes (S, D) of real photos. None with fewer than three
    people of whom anything is seen.
    """
    usable = generated.any(1) & prototypes[owner].any(1)
    generated, owner = generated[usable], owner[usable]
    people = torch.unique(owner)
    if len(people) < FEWEST_TO_LEARN_FROM:
        return None
    order = people[torch.randperm(len(people), generator=generator)]
    held_out = [part for part in order.tensor_split(min(folds, len(people))) if len(part)]
    tried = [(name, strength) for name, (_, strengths) in FITS.items() for strength in strengths]
    best = max(tried, key=lambda each: _validated(each, generated, owner, prototypes, held_out))
    return fit(*best, generated, prototypes[owner])


def _validated(
    way: tuple[str, float],
    generated: Tensor,
    owner: Tensor,
    prototypes: Tensor,
    folds: Sequence[Tensor],
) -> float:
    """Decidability of people the map was not fitted on, among everybody; mean over the folds."""
    figures = []
    for held_out in folds:
        out = torch.isin(owner, held_out)
        found = fit(*way, generated[~out], prototypes[owner[~out]])
        everybody = torch.cat(list(folds))
        scores = found.probe(generated[out]) @ found.template(prototypes[everybody]).T
        own = owner[out][:, None] == everybody
        figures.append(decidability(scores[own], scores[~own]))
    return sum(figures) / len(figures)

"""A toy world of embeddings: a person is a direction, a photo is that direction with noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from visard.attacks import PUBLISHED, Knowledge, Known
from visard.attacks.inputs import Pictures, Source

DIMENSION = 24
Defence = Callable[[Tensor, torch.Generator], Tensor]
"""Clean rows (P, D) and randomness -> what the tool draws of them."""


@dataclass(frozen=True)
class Toy:
    """Everything an attack is given."""

    subjects: dict[str, Pictures]
    gallery: dict[str, Source]
    knowledge: Knowledge


class ToyPeople:
    """Draws people; `defence` is what the tool does to a person's embeddings."""

    def __init__(self, defence: Defence, leaked: Defence | None = None, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.defence, self.leaked = defence, leaked

    def photos(self, person: Tensor, count: int, noise: float = 0.08) -> Tensor:
        return F.normalize(person + noise * torch.randn(count, DIMENSION, generator=self.generator), dim=1)

    def person(self) -> Tensor:
        return F.normalize(torch.randn(DIMENSION, generator=self.generator), dim=0)

    def known(self, pictures: int) -> Known:
        person = self.person()
        drawn: dict[str, Source] = {PUBLISHED: self.defence(self.photos(person, pictures), self.generator)}
        if self.leaked is not None:
            drawn["leaked"] = self.leaked(self.photos(person, 2 * pictures), self.generator)
        return Known(self.photos(person, 4), drawn)


def toy(
    defence: Defence, leaked: Defence | None = None, *, people: int = 12, pictures: int = 8, seed: int = 0
) -> Toy:
    """`people` under attack, 16 to choose on, 40 to learn from, 36 strangers."""
    world = ToyPeople(defence, leaked, seed)
    subjects = {f"subject {index}": world.known(pictures) for index in range(people)}
    gallery: dict[str, Source] = {name: each.photos for name, each in subjects.items()}
    gallery |= {f"stranger {index}": world.photos(world.person(), 4) for index in range(36)}
    return Toy(
        {name: each.pictures for name, each in subjects.items()},
        gallery,
        Knowledge(
            {f"dev {index}": world.known(pictures) for index in range(16)},
            {f"train {index}": world.known(pictures) for index in range(40)},
        ),
    )


def rotation(seed: int = 5) -> Tensor:
    """A rotation (D, D) far from the identity."""
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(DIMENSION, DIMENSION, generator=generator))[0]

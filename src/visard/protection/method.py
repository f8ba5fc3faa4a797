"""What every method is: data for its row, and rounds that take photos to photos."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from torch import Tensor

from visard.budget import Budget
from visard.personalization.decoupling import Noise
from visard.protection.task import Task
from visard.settings import at_least


class Method(ABC):
    """A method at work on one task: `rounds` times `round`, and between two of them its whole `state`."""

    title: ClassVar[str]
    paper: ClassVar[str]
    budget: ClassVar[Budget]
    """Radius and step of the paper, in units of picture tensors, range [-1, 1]."""
    released: ClassVar[tuple[str, ...]] = ()
    """What its public code does otherwise, and fidelity = "released" does too; empty: nothing known."""
    needs_class_pictures: ClassVar[bool] = False
    options_type: ClassVar[type[Any] | None] = None
    """A dataclass of what it can be told, with the paper's numbers; None: nothing."""
    learns_from_clean: ClassVar[bool] = False
    """Whether it trains a surrogate on clean photos of the person."""
    has_target: ClassVar[bool] = False
    """Whether it steers photos towards a picture that may be given."""

    rounds: int
    steps: int
    """Of training and of perturbing, in all rounds together."""

    def __init__(self, task: Task) -> None:
        self.task = task

    @abstractmethod
    def round(self, k: int, images: Tensor) -> Tensor:
        """The photos (B, 3, R, R) after round `k`, from 0, of what they were before it."""

    def state(self) -> dict[str, Tensor]:
        """What the rounds so far have changed besides the photos."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a state."""
        if state:
            raise ValueError("this method has no state")

    def close(self) -> None:
        """Leave the model frozen, with the weights it came with."""
        self.task.backbone.freeze()


@dataclass(frozen=True)
class StepCount:
    """Settings of a method that does nothing but projected-gradient steps."""

    steps: int

    def __post_init__(self) -> None:
        check_counts(self)


class PlainAscent(Method):
    """A method that ascends one objective against the model as it is; a round is a step."""

    options_type: ClassVar[type[StepCount]]
    options: StepCount

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.options = task.options(self.options_type)
        self.rounds = self.steps = self.options.steps

    def round(self, k: int, images: Tensor) -> Tensor:
        return self.task.ascent(images, self.task.originals, self.objective, steps=1)

    @abstractmethod
    def objective(self, images: Tensor, noise: Noise, rows: slice) -> Tensor:
        """What is ascended: (b,) for photos (b, 3, R, R)."""


def check_counts(options: Any, least: int = 0) -> None:
    """Raise InputError unless every number among a method's settings is at least `least`."""
    for each in fields(options):
        at_least(each.name, getattr(options, each.name), least)

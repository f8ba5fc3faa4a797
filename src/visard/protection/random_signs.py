"""Random signs: noise as large as the others' and without any aim, the control of every comparison."""

from __future__ import annotations

from torch import Tensor

from visard.budget import Budget
from visard.protection.method import Method
from visard.protection.task import Task


class RandomSigns(Method):
    """Every value of every photo goes up or down by the radius."""

    title = "random signs"
    paper = "none: the control"
    budget = Budget(radius=0.05, step=0.0)

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.rounds = self.steps = 1

    def round(self, k: int, images: Tensor) -> Tensor:
        protected = self.task.budget.random_signs(self.task.originals, self.task.streams["signs"])
        self.task.tick()
        return protected

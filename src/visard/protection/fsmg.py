"""FSMG: fully-trained surrogate model guidance (Van Le et al., ICCV 2023, Section 4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from visard.budget import Budget
from visard.personalization.decoupling import Noise
from visard.personalization.fine_tuning import FineTuning
from visard.protection.method import Method, check_counts
from visard.protection.state import pack, unpack
from visard.protection.surrogate import Surrogate
from visard.protection.task import Task


@dataclass(frozen=True)
class FsmgOptions:
    """The paper's numbers; batches are those of an ordinary DreamBooth."""

    surrogate_steps: int = 1000
    pgd_steps: int = 100
    batch: int = 2
    class_batch: int = 2

    def __post_init__(self) -> None:
        check_counts(self)


class Fsmg(Method):
    """DreamBooth on the clean photos, then ascent of its denoising loss; a round is a step of either."""

    title = "FSMG"
    paper = "Van Le et al., Anti-DreamBooth, ICCV 2023, arXiv 2303.15433"
    budget = Budget(radius=0.05, step=0.005)
    options_type = FsmgOptions
    needs_class_pictures = True
    learns_from_clean = True

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.options = task.options(self.options_type)
        self.rounds = self.steps = self.options.surrogate_steps + self.options.pgd_steps
        settings = replace(
            task.settings.surrogate, batch=self.options.batch, class_batch=self.options.class_batch
        )
        self.surrogate = Surrogate(task, settings)
        self.clean = self.surrogate.photos("clean", task.clean, task.clean_prompts)
        self.tuning = self.surrogate.tuning(FineTuning)

    def round(self, k: int, images: Tensor) -> Tensor:
        if k < self.options.surrogate_steps:
            self.task.tick(training=self.tuning.step(self.clean).instance)
            return images
        return self.task.ascent(images, self.task.originals, self.objective, steps=1)

    def objective(self, images: Tensor, noise: Noise, rows: slice) -> Tensor:
        """L_cond: the denoising loss of the surrogate."""
        return self.task.denoise(images, self.task.embed(self.task.prompts[rows]), noise).error

    def state(self) -> dict[str, Tensor]:
        weights, slots = self.tuning.state()
        return pack(weights=weights, slots=slots)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.tuning.restore(unpack("weights", state), unpack("slots", state))

    def close(self) -> None:
        self.surrogate.close()

"""ASPL: alternating surrogate and perturbation learning (Van Le et al., ICCV 2023, Section 4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from visard.budget import Budget
from visard.diffusion.conditioning import Conditioning
from visard.personalization.decoupling import Noise
from visard.protection.method import Method, check_counts
from visard.protection.state import pack, unpack
from visard.protection.surrogate import Surrogate
from visard.protection.task import Task


@dataclass(frozen=True)
class AsplOptions:
    """The paper's numbers."""

    rounds: int = 50
    surrogate_steps: int = 3
    """Of each of a round's trainings: of the clone on clean photos, of the surrogate on perturbed ones."""
    pgd_steps: int = 6

    def __post_init__(self) -> None:
        check_counts(self)


class Aspl(Method):
    """The surrogate learns perturbed photos; the perturbation is against a clone that learns clean ones."""

    title = "ASPL (Anti-DreamBooth)"
    paper = "Van Le et al., Anti-DreamBooth, ICCV 2023, arXiv 2303.15433"
    budget = Budget(radius=0.05, step=0.005)
    released: ClassVar[tuple[str, ...]] = (
        "the surrogate's weights are bfloat16, whose spacing swallows nearly every update at learning rates "
        "such as 5e-7, and next to none at 5e-4",
        "gradients are never clipped",
        "every training begins at the first photo and the first class picture: of 3 steps, those after the "
        "third are never used",
    )
    needs_class_pictures = True
    learns_from_clean = True
    options_type: ClassVar[type[AsplOptions]] = AsplOptions
    options: AsplOptions

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.options = task.options(self.options_type)
        self.rounds = self.options.rounds
        self.steps = self.rounds * (2 * self.options.surrogate_steps + self.options.pgd_steps)
        faulty = task.released
        self.surrogate = Surrogate(
            task, task.settings.surrogate, pure_bf16=faulty, clips=not faulty, in_order=faulty
        )

    def round(self, k: int, images: Tensor) -> Tensor:
        task, options = self.task, self.options
        with self.surrogate.clone():
            clean = self.surrogate.photos("clean", task.clean, task.clean_prompts)
            self.surrogate.train(clean, options.surrogate_steps)
            words = task.embed(task.prompts)

            def objective(images: Tensor, noise: Noise, rows: slice) -> Tensor:
                return self.ascended(images, words[rows], noise, rows)

            images = task.ascent(images, task.originals, objective, options.pgd_steps)
        perturbed = self.surrogate.photos("perturbed", images, task.prompts)
        self.surrogate.train(perturbed, options.surrogate_steps)
        return images

    def ascended(self, images: Tensor, words: Conditioning, noise: Noise, rows: slice) -> Tensor:
        """L_cond (b,): the clone's denoising loss."""
        return self.task.denoise(images, words, noise).error

    def state(self) -> dict[str, Tensor]:
        return pack(weights=self.surrogate.parameters)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.surrogate.load(unpack("weights", state))

    def close(self) -> None:
        self.surrogate.close()

"""What an attacker draws from leaked model files (T5), unit by unit: whatever is drawn is not drawn again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from visard.benchmark.job import is_over
from visard.benchmark.protocol import Protocol, Unit
from visard.benchmark.result import read_result
from visard.benchmark.unit import LEAKED, UnitJob, picture_file
from visard.diffusion.sampling import generate
from visard.errors import InputError
from visard.images import read_image, save_image, to_tensor
from visard.kits import open_kit
from visard.models import load_model

ATTACKER = "attacker"
"""Folder of the attacker's own people inside a benchmark's."""
LEAKS: dict[str, tuple[str, ...]] = {
    "leaked": (
        "a photo of sks person",
        "a dslr portrait of sks person",
        "a close-up photo of sks person",
        "a portrait of sks person",
        "a photo of sks person, smiling",
        "a photo of sks person, in a park",
        "a photo of sks person, in front of a plain wall",
        "a watercolor of sks person",
    ),
    "leaked, without the identifier": (
        "a photo of person",
        "a photo of a man",
        "a photo of a woman",
        "a close-up photo of person",
    ),
}
"""What is asked of a leaked model file: prompts about the person, and about anybody."""


@dataclass(frozen=True)
class Leak:
    """The model file of one unit; `own`: of one of the attacker's own people."""

    unit: Unit
    own: bool = False


class Taps:
    """Draws `count` pictures of every prompt in LEAKS from a benchmark's models.

    Models of the attacker's own people go once their pictures are there. deadline: seconds since the epoch
    after which nothing is begun.
    """

    def __init__(self, out: Path, kit: str, count: int, *, deadline: float | None = None) -> None:
        self.out, self.kit, self.count, self.deadline = out, kit, count, deadline
        self.protocol = Protocol.of(out)

    def __call__(self, leak: Leak) -> None:
        """Draw what is missing. Raises InputError, ModelError, StorageError."""
        if is_over(self.deadline):
            return
        self.check(leak)
        work, missing = self._job(leak), list(self._missing(leak))
        if missing:
            loaded = load_model(work.run_folder, open_kit(self.kit))
            for prompt in missing:
                drawn = generate(
                    loaded.backbone,
                    prompt,
                    self.count,
                    seed=leak.unit.sampling_seed(f"{LEAKED}: {prompt}"),  # not the published ones again
                    steps=self.protocol.sampling.steps,
                    guidance=loaded.guidance,
                )
                for index, picture in enumerate(drawn):
                    save_image(picture, picture_file(work.folder / LEAKED, prompt, index))
        if leak.own:
            work.delete_model()

    def done(self, leak: Leak) -> bool:
        """Whether nothing is left to do."""
        kept = leak.own and self._job(leak).has_model
        return not kept and not any(self._missing(leak))

    def check(self, leak: Leak) -> None:
        """Raise InputError if pictures are missing and the model, once trained, is gone."""
        trained = read_result(leak.unit, self.protocol, self._home(leak)) is not None
        if trained and not self._job(leak).has_model and any(self._missing(leak)):
            again = "" if leak.own else " with --keep-models"
            raise InputError(
                f"The model of person {leak.unit.person} is gone, and tier T5 draws from it.",
                f"Delete {leak.unit.folder(self._home(leak))}, to train it again{again}, or attack up to T4.",
            )

    def files(self, leak: Leak) -> dict[str, list[Path]]:
        """The pictures of each source in LEAKS."""
        folder = self._job(leak).folder / LEAKED
        return {
            name: [picture_file(folder, prompt, index) for index in range(self.count) for prompt in prompts]
            for name, prompts in LEAKS.items()
        }

    def _missing(self, leak: Leak) -> Iterator[str]:
        folder = self._job(leak).folder / LEAKED
        for prompt in (prompt for prompts in LEAKS.values() for prompt in prompts):
            if not all(picture_file(folder, prompt, index).exists() for index in range(self.count)):
                yield prompt

    def _job(self, leak: Leak) -> UnitJob:
        return UnitJob(leak.unit, self.protocol, self._home(leak))

    def _home(self, leak: Leak) -> Path:
        return self.out / ATTACKER if leak.own else self.out


def read_pictures(files: list[Path]) -> Tensor:
    """(P, 3, H, W) in [-1, 1]."""
    return torch.stack([to_tensor(read_image(file)) for file in files])

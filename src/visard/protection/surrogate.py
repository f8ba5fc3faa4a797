"""The model a perturbation is made against: DreamBooth, trained beside the photos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from visard.personalization.encoding import encoded
from visard.personalization.fine_tuning import FineTuning, PhotoSet, trainable_parameters
from visard.personalization.settings import FineTuningSettings, PersonalizationSettings
from visard.personalization.streams import DataOrder
from visard.protection.task import Task

T = TypeVar("T", bound=FineTuning)


class InOrder(DataOrder):
    """Visits from the first photo on, whenever it is made anew."""

    def take(self, count: int) -> list[int]:
        while len(self.queue) < count:
            self.queue += range(self.size)
        taken, self.queue = self.queue[:count], self.queue[count:]
        return taken


class Surrogate:
    """The task's own model, trained in place (eq. 4); `close` gives it back its weights.

    Faults of released code: `pure_bf16` keeps the weights themselves in bfloat16, whose spacing swallows
    small updates; `clips` False leaves gradients as they are; `in_order` begins every training at the first
    photo and the first class picture.
    """

    def __init__(
        self,
        task: Task,
        settings: FineTuningSettings,
        *,
        train_text_encoder: bool = True,
        pure_bf16: bool = False,
        clips: bool = True,
        in_order: bool = False,
    ) -> None:
        self.task, self.in_order = task, in_order
        self.settings = settings if clips else replace(settings, clip_norm=0.0)
        whole = PersonalizationSettings(
            train_text_encoder=train_text_encoder, save_memory=task.settings.save_memory
        )
        self.parameters = trainable_parameters(task.backbone, whole, task.streams["lora"])
        task.backbone.freeze()
        self.pristine = self._copy()
        if pure_bf16:
            for parameter in self.parameters.values():
                parameter.data = parameter.data.bfloat16()

    def photos(self, name: str, images: Tensor, prompts: Sequence[str]) -> PhotoSet:
        """Photos to train on; those of one name are visited in one order that goes on."""
        return PhotoSet(encoded(self.task.backbone, images), prompts, self._order(name, len(images)))

    def tuning(self, kind: type[T]) -> T:
        """A fresh AdamW on the current weights, with prior preservation if the task has class pictures."""
        posterior, prior = self.task.class_posterior, self.task.settings.prompts.prior
        class_photos = None
        if posterior is not None:
            count = len(posterior.mean)
            class_photos = PhotoSet(posterior, [prior] * count, self._order("class", count))
        return kind(
            self.task.backbone,
            self.parameters,
            self.settings,
            learning_rate=self.settings.learning_rate,
            class_photos=class_photos,
            generator=self.task.streams["fine-tuning"],
        )

    def train(self, photos: PhotoSet, steps: int) -> None:
        """`steps` of DreamBooth on `photos`, by an optimiser of their own."""
        tuning = self.tuning(FineTuning)
        for _ in range(steps):
            self.task.tick(training=tuning.step(photos).instance)

    @contextmanager
    def clone(self) -> Iterator[None]:
        """Whatever is trained inside is forgotten at the end."""
        kept = self._copy()
        try:
            yield
        finally:
            self.load(kept)

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take these weights."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(weights[name])

    def close(self) -> None:
        """Leave the model with the weights it came with."""
        for name, parameter in self.parameters.items():
            parameter.data = self.pristine[name]

    def _order(self, name: str, size: int) -> DataOrder:
        return InOrder(size, self.task.streams[name]) if self.in_order else self.task.order(name, size)

    def _copy(self) -> dict[str, Tensor]:
        return {name: parameter.detach().clone() for name, parameter in self.parameters.items()}

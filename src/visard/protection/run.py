"""A protection put together: the task, the method, and round after round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from visard.budget import Budget
from visard.diffusion.backbone import Backbone
from visard.personalization.checkpoint import Snapshot
from visard.personalization.photos import check_photos
from visard.personalization.prior import class_posteriors
from visard.progress import Progress, silent
from visard.protection.methods import find_method
from visard.protection.settings import ProtectionSettings
from visard.protection.state import pack, unpack
from visard.protection.targets import chequers
from visard.protection.task import Task
from visard.settings import require

IMAGES, DONE = "images", "done"


class Run:
    """One protection of photos (B, 3, R, R) in [-1, 1]; iterate over it, then `close` it.

    `clean`: photos of the same person for surrogates to learn from, by default the photos themselves.
    `target` (3, R, R): where targeted methods steer to, by default chequers. A caption stands in for the
    instance prompt; `clean_captions` are those of `clean`. Raises InputError, ModelError.
    """

    def __init__(
        self,
        settings: ProtectionSettings,
        photos: Tensor,
        backbone: Backbone,
        *,
        clean: Tensor | None = None,
        target: Tensor | None = None,
        captions: Sequence[str | None] | None = None,
        clean_captions: Sequence[str | None] | None = None,
        cache: Path | None = None,
        progress: Progress = silent,
    ) -> None:
        check(settings, photos, backbone, clean=clean, target=target)
        kind = find_method(settings.method)
        if clean is None:
            clean, clean_captions = photos, captions
        posterior = None
        if (
            kind.needs_class_pictures and settings.surrogate.prior_weight > 0
        ):  # before anything changes the model
            posterior = class_posteriors(
                backbone, settings.prompts.prior, settings.prior, cache=cache, progress=progress
            )
        backbone.freeze()
        backbone.checkpoint_gradients(settings.save_memory)
        self.images = originals = photos.to(backbone.device, torch.float32)
        target = chequers(backbone.resolution) if target is None else target
        self.task = Task(
            settings,
            backbone,
            budget_of(settings),
            originals=originals,
            prompts=_prompts(settings, captions, len(photos)),
            clean=clean.to(originals),
            clean_prompts=_prompts(settings, clean_captions, len(clean)),
            target=target.to(originals),
            class_posterior=posterior,
            progress=progress,
        )
        self.method = kind(self.task)
        self.task.total = self.method.steps
        self.done = 0

    def __iter__(self) -> Iterator[int]:
        """Do the rounds that are left; at every yield the state is whole."""
        while self.done < self.method.rounds:
            self.images = self.method.round(self.done, self.images)
            self.done += 1
            yield self.done

    def snapshot(self) -> Snapshot:
        """Everything the rounds so far have changed."""
        state = {IMAGES: self.images, DONE: torch.tensor(self.task.done)}
        queues = {name: order.queue for name, order in self.task.orders.items()}
        streams = pack(stream=self.task.streams.state())
        return Snapshot(self.done, self.method.state(), {}, state | streams, queues, [])

    def restore(self, snapshot: Snapshot) -> None:
        """Go on after the rounds of `snapshot`."""
        self.done, self.task.done = snapshot.done, int(snapshot.run[DONE])
        self.images = snapshot.run[IMAGES].to(self.images)
        self.task.streams.restore(unpack("stream", snapshot.run))
        self.task.restore(snapshot.queues)
        self.method.restore(snapshot.weights)

    def close(self) -> None:
        """Leave the model with the weights it came with: frozen, in float32 where a surrogate trained."""
        self.method.close()


def protected_photos(
    photos: Tensor,
    backbone: Backbone,
    settings: ProtectionSettings,
    *,
    clean: Tensor | None = None,
    target: Tensor | None = None,
    captions: Sequence[str | None] | None = None,
    clean_captions: Sequence[str | None] | None = None,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Tensor:
    """Photos (B, 3, R, R) in [-1, 1], perturbed as `settings` say: the same shape and range, floating point.

    See `Run` for the rest. The model keeps its weights. Raises InputError, ModelError, TrainingError.
    """
    run = Run(
        settings,
        photos,
        backbone,
        clean=clean,
        target=target,
        captions=captions,
        clean_captions=clean_captions,
        cache=cache,
        progress=progress,
    )
    try:
        for _ in run:
            pass
    finally:
        run.close()
    return run.images.to(photos)


def check(
    settings: ProtectionSettings,
    photos: Tensor,
    backbone: Backbone,
    *,
    clean: Tensor | None = None,
    target: Tensor | None = None,
) -> None:
    """Raise InputError unless these can be made a protection of."""
    for name in (settings.method, *settings.methods):
        find_method(name)
    for pictures in (photos, clean):
        if pictures is not None:
            check_photos(pictures, backbone.resolution)
    if target is not None:
        _check_target(target, backbone.resolution)


def budget_of(settings: ProtectionSettings) -> Budget:
    """The method's own budget, with what the settings say instead."""
    own = find_method(settings.method).budget
    radius = own.radius if settings.radius is None else settings.radius
    return Budget(radius, own.step if settings.step is None else settings.step)


def _check_target(target: Tensor, side: int) -> None:
    require(
        target.shape == (3, side, side),
        f"The target is {tuple(target.shape)}; this model needs (3, {side}, {side})",
        "Crop it with visard.images.center_crop first.",
    )
    require(
        bool(torch.isfinite(target).all()) and bool(target.abs().max() <= 1),
        "The target holds values outside [-1, 1]",
        "Make it with visard.images.to_tensor.",
    )


def _prompts(settings: ProtectionSettings, captions: Sequence[str | None] | None, count: int) -> list[str]:
    if captions is None:
        return [settings.prompts.instance] * count
    if len(captions) != count:
        raise ValueError(f"{len(captions)} captions for {count} photos")
    return [caption or settings.prompts.instance for caption in captions]

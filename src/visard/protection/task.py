"""What a method is given: the photos, the model, the budget and the streams all its randomness comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from visard.budget import Budget
from visard.diffusion.backbone import Backbone, Posterior
from visard.diffusion.conditioning import Conditioning
from visard.personalization.decoupling import Noise
from visard.personalization.fine_tuning import autocast
from visard.personalization.streams import DataOrder, Streams
from visard.progress import Progress
from visard.protection.ascent import Ascent
from visard.protection.settings import ProtectionSettings
from visard.settings import from_table

STAGE = "protection"
T = TypeVar("T")


@dataclass(frozen=True)
class Denoised:
    """One denoising of a batch: scaled latents z_0, timesteps, z_t, the network's output, its error (B,)."""

    z0: Tensor
    t: Tensor
    zt: Tensor
    output: Tensor
    error: Tensor


class Task:
    """Photos (B, 3, R, R) to protect and `clean` ones of the same person that a surrogate may learn from.

    `target` (3, R, R) is what targeted methods steer towards; `class_posterior` is there when the method
    preserves the class. `progress` is told of every step, of `total` in all.
    """

    def __init__(
        self,
        settings: ProtectionSettings,
        backbone: Backbone,
        budget: Budget,
        *,
        originals: Tensor,
        prompts: Sequence[str],
        clean: Tensor,
        clean_prompts: Sequence[str],
        target: Tensor,
        class_posterior: Posterior | None,
        progress: Progress,
    ) -> None:
        self.settings, self.backbone, self.budget = settings, backbone, budget
        self.originals, self.prompts = originals, list(prompts)
        self.clean, self.clean_prompts = clean, list(clean_prompts)
        self.target, self.class_posterior, self.progress = target, class_posterior, progress
        self.streams = Streams(settings.seed)
        self.orders: dict[str, DataOrder] = {}
        self.queues: Mapping[str, list[int]] = {}
        self.autocast = autocast(backbone, settings.surrogate.precision)
        self.done, self.total = 0, 0
        self.ascent = Ascent(
            budget,
            micro_batch=settings.micro_batch,
            draw=lambda count: self.draw(count, "ascent"),
            watch=lambda loss: self.tick(loss=loss),
        )

    @property
    def released(self) -> bool:
        """Whether the public code's faults are wanted."""
        return self.settings.fidelity == "released"

    def options(self, kind: type[T]) -> T:
        """The method's own settings. Raises InputError."""
        method = self.settings.method
        return from_table(kind, self.settings.methods.get(method, {}), f"methods.{method}.")

    def tick(self, **figures: float) -> None:
        """Say that one more step is done."""
        self.done += 1
        self.progress(STAGE, self.done, self.total, **figures)

    def order(self, name: str, size: int) -> DataOrder:
        """The order in which `size` photos of that name are visited; it goes on from call to call."""
        if name not in self.orders:
            self.orders[name] = DataOrder(size, self.streams[f"order/{name}"])
            self.orders[name].queue = list(self.queues.get(name, ()))
        return self.orders[name]

    def restore(self, queues: Mapping[str, list[int]]) -> None:
        """Go on with what was left of every order's pass."""
        self.queues = queues
        for name, order in self.orders.items():
            order.queue = list(queues.get(name, ()))

    def draw(self, count: int, stream: str) -> Noise:
        """Noise for `count` photos, drawn photo by photo: it does not depend on the micro-batch."""
        side = self.backbone.resolution // self.backbone.factor
        shape = (int(self.backbone.vae.config.latent_channels), side, side)
        generator = self.streams[stream]
        draws = [
            (
                torch.randn(shape, generator=generator),
                torch.randn(shape, generator=generator),
                torch.rand((), generator=generator),
            )
            for _ in range(count)
        ]
        return Noise(*(torch.stack(parts).to(self.originals) for parts in zip(*draws, strict=True)))

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        """What the prompts tell the UNet under the current text encoder, without a gradient."""
        with torch.no_grad(), self.autocast():
            return self.backbone.embed_text(list(prompts))

    def denoise(self, images: Tensor, words: Conditioning, noise: Noise, t: Tensor | None = None) -> Denoised:
        """Encode, noise and denoise photos; t: uniform over the schedule unless given. Differentiable."""
        return self.denoise_latents(self.backbone.encode(images), words, noise, t)

    def denoise_latents(
        self, posterior: Posterior, words: Conditioning, noise: Noise, t: Tensor | None = None
    ) -> Denoised:
        """The same for photos that are already encoded."""
        schedule = self.backbone.schedule
        t = noise.timesteps(len(schedule)) if t is None else t
        z0 = posterior.mean + posterior.std * noise.posterior
        zt = schedule.add_noise(z0, noise.diffusion, t)
        with self.autocast():
            output = self.backbone.predict(zt, t, words)
        error = (output - schedule.target(z0, noise.diffusion, t)).square().flatten(1).mean(1)
        return Denoised(z0, t, zt, output, error)

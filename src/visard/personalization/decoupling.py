"""Identity-decoupled data optimisation: the projected-gradient steps of Stage I and Stage II (eqs. 8-14)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

import torch
from torch import Tensor

from visard.budget import Budget
from visard.diffusion.backbone import Backbone
from visard.diffusion.conditioning import Conditioning
from visard.errors import TrainingError
from visard.personalization.fine_tuning import Autocast
from visard.personalization.identity import IdentityLoss, Landmarks
from visard.personalization.settings import DecouplingSettings
from visard.precision import full_convolutions


class Stage(str, Enum):
    """What a projected-gradient step descends."""

    FIDELITY = "fidelity"
    """Stage I: L_rec (eq. 8)."""
    IDENTITY = "identity"
    """Stage II: L_id (eq. 13)."""
    JOINT = "joint"
    """L_rec + L_id (Table 9)."""


@dataclass
class StepFigures:
    """What one step saw, over all its photos and draws."""

    reconstruction: list[float] = field(default_factory=list)
    """L_rec of each."""
    similarities: list[list[float]] = field(default_factory=list)
    """s_m of each that had a face."""
    linkability: list[float] = field(default_factory=list)
    """S of each that had a face."""
    found: int = 0
    fallback: int = 0
    skipped: int = 0


@dataclass(frozen=True)
class Noise:
    """One draw for a batch: standard normal noise of the posterior and of the diffusion, uniforms for t."""

    posterior: Tensor
    diffusion: Tensor
    uniform: Tensor

    def timesteps(self, count: int) -> Tensor:
        """Timesteps (B,), uniform on [0, count)."""
        return (self.uniform * count).long().clamp(max=count - 1)


class Decoupling:
    """One PGD step on X' against the frozen networks of `backbone`.

    `identity` may be None when no step is in Stage II; `fallback` holds the photos' own landmarks.
    `decode` turns scaled latents into pictures and defaults to the VAE's decoder.
    """

    def __init__(
        self,
        backbone: Backbone,
        settings: DecouplingSettings,
        *,
        identity: IdentityLoss | None,
        fallback: Sequence[Landmarks],
        autocast: Autocast,
        generator: torch.Generator,
        decode: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.backbone, self.settings, self.identity = backbone, settings, identity
        self.fallback, self.autocast, self.generator = fallback, autocast, generator
        self.decode = decode or backbone.decode
        self.budget = Budget.of(settings.radius, settings.step, settings.pixel_range)

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        """What the prompts tell the UNet under the current, frozen text encoder."""
        with torch.no_grad(), self.autocast():
            return self.backbone.embed_text(list(prompts))

    def step(
        self, images: Tensor, centre: Tensor, text: Conditioning, stage: Stage
    ) -> tuple[Tensor, StepFigures]:
        """X' after one projected sign-descent step (Algorithm 1, lines 8-12), and what was seen on the way.

        Raises TrainingError when the gradient is not a number.

        `images` and the `centre` of the ball are (B, 3, H, W) in [-1, 1]; `text` is one a photo.
        """
        figures = StepFigures()
        gradients = [
            self._gradient(images[rows], text[rows], self.fallback[rows], stage, figures)
            for rows in self._micro_batches(len(images))
        ]
        gradient = torch.cat(gradients)
        if not torch.isfinite(gradient).all():
            raise TrainingError(
                "Decoupling stopped: the gradient of the photos is not a number.",
                'Set fine_tuning.precision = "fp32" or lower the learning rate, and start again.',
            )
        return self.budget.descend(images, gradient, centre), figures

    def reconstruction_loss(self, images: Tensor, text: Conditioning, noise: Noise) -> Tensor:
        """L_rec (B,) of eq. 8 as a mean over the latent: how well the frozen model denoises each photo."""
        schedule = self.backbone.schedule
        t = noise.timesteps(len(schedule))
        z0 = self._encode(images, noise)
        with self.autocast():
            output = self.backbone.predict(schedule.add_noise(z0, noise.diffusion, t), t, text)
        return (output - schedule.target(z0, noise.diffusion, t)).square().flatten(1).mean(1)

    def denoised(self, images: Tensor, text: Conditioning, noise: Noise) -> Tensor:
        """x0-hat: the one-step clean prediction as pictures (B, 3, H, W), differentiable in `images`."""
        schedule = self.backbone.schedule
        t = noise.timesteps(min(self.settings.t_max, len(schedule)))
        z0 = self._encode(images, noise)
        with self.autocast():
            clean = self.backbone.predict_x0(schedule.add_noise(z0, noise.diffusion, t), t, text)
        return self.decode(clean.to(images.dtype))

    def draw(self, images: Tensor) -> Iterator[Noise]:
        """The draws of one step. Photo by photo, so that the result does not depend on the micro-batch."""
        shape = self._latent_shape(images)
        draws = [[self._draw_one(shape) for _ in range(self.settings.draws)] for _ in images]
        for each in zip(*draws, strict=True):
            yield Noise(*(torch.stack(parts).to(images) for parts in zip(*each, strict=True)))

    def _gradient(
        self,
        images: Tensor,
        text: Conditioning,
        fallback: Sequence[Landmarks],
        stage: Stage,
        figures: StepFigures,
    ) -> Tensor:
        """Gradient of each photo's own loss with respect to that photo, averaged over the draws."""
        leaf = images.detach().requires_grad_(True)
        total = torch.zeros_like(images)
        for noise in self.draw(images):
            loss = torch.zeros_like(images[:, 0, 0, 0])
            if stage is not Stage.IDENTITY:
                reconstruction = self.reconstruction_loss(leaf, text, noise)
                loss = loss + reconstruction
                figures.reconstruction += reconstruction.tolist()
            if stage is not Stage.FIDELITY:
                loss = loss + self._identity_loss(leaf, text, fallback, noise, figures)
            if loss.requires_grad:  # a batch without a single face has nothing to descend
                with full_convolutions():
                    total += torch.autograd.grad(loss.sum(), leaf)[0]
        return total / self.settings.draws

    def _identity_loss(
        self,
        images: Tensor,
        text: Conditioning,
        fallback: Sequence[Landmarks],
        noise: Noise,
        figures: StepFigures,
    ) -> Tensor:
        if self.identity is None:
            raise ValueError("Stage II needs an identity loss")
        linkage = self.identity(self.denoised(images, text, noise), fallback)
        seen = ~linkage.similarities.isnan().any(1)
        figures.similarities += linkage.similarities[seen].tolist()
        figures.linkability += (linkage.loss[seen] - 1).tolist()
        figures.found += linkage.found
        figures.fallback += linkage.fallback
        figures.skipped += linkage.skipped
        return linkage.loss

    def _encode(self, images: Tensor, noise: Noise) -> Tensor:
        posterior = self.backbone.encode(images)
        return posterior.mean + posterior.std * noise.posterior

    def _latent_shape(self, images: Tensor) -> tuple[int, int, int]:
        height, width = (side // self.backbone.factor for side in images.shape[2:])
        return (int(self.backbone.vae.config.latent_channels), height, width)

    def _draw_one(self, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
        posterior = torch.randn(shape, generator=self.generator)
        diffusion = torch.randn(shape, generator=self.generator)
        return posterior, diffusion, torch.rand((), generator=self.generator)

    def _micro_batches(self, count: int) -> list[slice]:
        size = self.settings.micro_batch
        return [slice(start, start + size) for start in range(0, count, size)]

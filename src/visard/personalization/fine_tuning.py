"""FT of eqs. 5 and 7: fine-tuning with prior preservation (eq. 4), of whole networks or of LoRA weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from visard.diffusion.backbone import Backbone, Posterior
from visard.diffusion.conditioning import Conditioning
from visard.diffusion.lora import add_lora
from visard.errors import TrainingError
from visard.personalization.optimizers import build_optimizer, optimizer_state, restore_optimizer
from visard.personalization.settings import FineTuningSettings, PersonalizationSettings
from visard.personalization.streams import DataOrder

Autocast = Callable[[], AbstractContextManager[object]]


def autocast(backbone: Backbone, precision: str) -> Autocast:
    """A fresh bf16 autocast region for the networks of `backbone`, or one that does nothing for "fp32".

    Without autocast's cache, which holds on to a copy of every weight in case it is used again: none is.
    """
    return lambda: torch.autocast(
        backbone.device.type, dtype=torch.bfloat16, enabled=precision == "bf16", cache_enabled=False
    )


def trainable_parameters(
    backbone: Backbone, settings: PersonalizationSettings, generator: torch.Generator
) -> dict[str, nn.Parameter]:
    """Freeze `backbone` except what the method trains, returned by name, in float32 whatever it was.

    `generator` draws the first LoRA weights. At a learning rate of 5e-7 an update is far below the spacing of
    bfloat16: such weights would not move. Those that a LoRA leaves frozen need not be stored more finely than
    they are used.
    """
    frozen_16_bit = settings.method == "lora" and settings.fine_tuning.precision == "bf16"
    networks: list[Any] = list(backbone.adaptable.values())
    for network in networks:
        dtype = torch.bfloat16 if frozen_16_bit else torch.promote_types(network.dtype, torch.float32)
        nn.Module.to(network, dtype)  # diffusers' own warns of modules to keep in float32 and lists none
    backbone.freeze()
    if settings.method == "lora":
        add_lora(backbone, settings.lora.rank, settings.train_text_encoder, generator)
    else:
        backbone.unet.requires_grad_(True)
        for encoder in backbone.text_encoders:
            encoder.requires_grad_(settings.train_text_encoder)
    backbone.checkpoint_gradients(settings.save_memory)
    return {
        f"{prefix}.{name}": parameter
        for prefix, network in backbone.networks.items()
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
    }


@dataclass
class PhotoSet:
    """Photos ready to train on: posteriors of their latents, a prompt each, and the order of their visits."""

    posterior: Posterior
    prompts: Sequence[str]
    order: DataOrder

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, list[str]]:
        """Freshly sampled scaled latents (count, C, h, w) of the next photos, and their prompts."""
        chosen = self.order.take(count)
        picked = Posterior(mean=self.posterior.mean[chosen], std=self.posterior.std[chosen])
        return picked.sample(generator), [self.prompts[i] for i in chosen]


@dataclass(frozen=True)
class Losses:
    """One step's terms of eq. 4."""

    instance: float
    prior: float


class FineTuning:
    """FT(Theta; X), one step at a time, with one AdamW for the whole run.

    Outside `step` every parameter is frozen, so that nothing else can compute or store a parameter gradient.
    `class_photos` None leaves out the prior term. Randomness comes from `generator` and the sets' orders.
    """

    def __init__(
        self,
        backbone: Backbone,
        parameters: Mapping[str, nn.Parameter],
        settings: FineTuningSettings,
        *,
        learning_rate: float,
        class_photos: PhotoSet | None,
        generator: torch.Generator,
    ) -> None:
        self.backbone, self.parameters, self.settings = backbone, dict(parameters), settings
        self.class_photos, self.generator = class_photos, generator
        self.autocast = autocast(backbone, settings.precision)
        self.optimizer = build_optimizer(self.parameters, settings, learning_rate)
        self.trains_text = any(name.startswith("text_encoder") for name in self.parameters)
        self._embedded: dict[str, Conditioning] = {}
        self._require_gradients(False)

    def step(self, photos: PhotoSet) -> Losses:
        """One optimiser step of L_db (eq. 4) on the next photos. Raises TrainingError when it is NaN."""
        latents, prompts = photos.draw(self.settings.batch, self.generator)
        instances = len(latents)
        if self.class_photos is not None:
            class_latents, class_prompts = self.class_photos.draw(self.settings.class_batch, self.generator)
            latents, prompts = torch.cat([latents, class_latents]), prompts + class_prompts
        noise = torch.randn(latents.shape, generator=self.generator).to(latents)
        t = torch.randint(len(self.backbone.schedule), (len(latents),), generator=self.generator)
        t = t.to(latents.device)
        # Eq. 4 as one weighted sum: its parts may be computed one after another.
        weights = latents.new_full(
            (len(latents),), self.settings.prior_weight / max(1, len(latents) - instances)
        )
        weights[:instances] = 1 / instances
        errors = []
        self._require_gradients(True)
        try:
            size = self.settings.micro_batch or len(latents)
            for start in range(0, len(latents), size):
                rows = slice(start, start + size)
                error = self._error(latents[rows], prompts[rows], noise[rows], t[rows])
                (weights[rows] * error).sum().backward()  # type: ignore[no-untyped-call]
                errors.append(error.detach())
            error = torch.cat(errors)
            self._update((weights * error).sum())
        finally:
            self.optimizer.zero_grad(set_to_none=True)
            self._require_gradients(False)
        prior = error[instances:].sum() / max(1, len(error) - instances)
        return Losses(error[:instances].mean().item(), prior.item())

    def _error(self, latents: Tensor, prompts: Sequence[str], noise: Tensor, t: Tensor) -> Tensor:
        """How far off (B,) the network is for each picture, as a mean over the latent."""
        schedule = self.backbone.schedule
        with self.autocast():
            output = self.backbone.predict(schedule.add_noise(latents, noise, t), t, self._embed(prompts))
        return (output - schedule.target(latents, noise, t)).square().flatten(1).mean(1)

    def _update(self, loss: Tensor) -> None:
        limit = self.settings.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), limit)
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            raise TrainingError(
                "Fine-tuning stopped: the loss or its gradient is not a number.",
                'Lower the learning rate, or set fine_tuning.precision = "fp32", and start again.',
            )
        self.optimizer.step()

    def remember(self, prompts: Sequence[str]) -> None:
        """Embed every prompt now, if the text encoder does not train: it is not needed again."""
        if not self.trains_text:
            with self.autocast():
                self._embed(prompts)

    def _embed(self, prompts: Sequence[str]) -> Conditioning:
        """What the prompts tell the UNet; kept for the whole run when the text encoder does not train."""
        if self.trains_text:
            return self.backbone.embed_text(list(prompts))
        for prompt in prompts:
            if (
                prompt not in self._embedded
            ):  # one at a time: in a batch the last bit would depend on its company
                with torch.no_grad():
                    self._embedded[prompt] = self.backbone.embed_text([prompt])
        return Conditioning.cat([self._embedded[prompt] for prompt in prompts])

    def _require_gradients(self, required: bool) -> None:
        for parameter in self.parameters.values():
            parameter.requires_grad_(required)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Trained weights by name, and the optimiser's tensors as `name/slot`."""
        weights = {name: parameter.detach() for name, parameter in self.parameters.items()}
        return weights, optimizer_state(self.optimizer, self.parameters)

    def restore(self, weights: Mapping[str, Tensor], slots: Mapping[str, Tensor]) -> None:
        """Continue from what `state` returned."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(weights[name])
        restore_optimizer(self.optimizer, self.parameters, slots)

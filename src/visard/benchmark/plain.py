"""The same run written plainly on diffusers, as anybody would from the paper: what ours is measured against.

Float32 weights, autocast, diffusers' own calls; nothing is cached, compiled, offloaded or saved on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import torch
from diffusers import DDPMScheduler
from diffusers.utils.torch_utils import randn_tensor
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from torch import Tensor

from visard.diffusion.lora import TEXT_TARGETS, UNET_TARGETS
from visard.faces.detector import Detector
from visard.faces.recognizer import Recognizer
from visard.personalization.decoupling import Stage
from visard.personalization.iddm import Call, plan
from visard.personalization.identity import IdentityLoss, find_landmarks, prototypes
from visard.personalization.personalize import STAGE, WRITING
from visard.personalization.prior import STAGE as CLASS_PICTURES
from visard.personalization.settings import PersonalizationSettings
from visard.progress import Progress, silent


def run(
    settings: PersonalizationSettings,
    photos: Tensor,
    pipeline: Any,
    recognizers: Sequence[Recognizer],
    detector: Detector,
    *,
    folder: Path,
    progress: Progress = silent,
) -> None:
    """IDDM on a StableDiffusionPipeline with photos (N, 3, R, R), half of them X_c; writes into `folder`."""
    work = Plain(settings, photos.to(pipeline.device), pipeline, recognizers, detector, progress)
    moves = plan(settings.decoupling, settings.fine_tuning.steps, defended=True)
    for done, move in enumerate(moves, start=1):
        if isinstance(move.kind, Stage):
            work.perturb(move.kind)
        else:
            work.fine_tune(work.reference if move.kind is Call.REFERENCE else work.images)
        progress(STAGE, done, len(moves))
    work.save(folder)
    progress(WRITING, 1, 1)


class Plain:
    """The networks of a pipeline, an optimiser, and two kinds of step."""

    def __init__(
        self,
        settings: PersonalizationSettings,
        photos: Tensor,
        pipeline: Any,
        recognizers: Sequence[Recognizer],
        detector: Detector,
        progress: Progress,
    ) -> None:
        self.settings, self.pipeline = settings, pipeline
        self.vae, self.unet, self.text_encoder = pipeline.vae, pipeline.unet, pipeline.text_encoder
        kind: Any = DDPMScheduler
        self.schedule = kind.from_config(pipeline.scheduler.config)
        self.alphas = self.schedule.alphas_cumprod.to(pipeline.device)
        self.generator = torch.Generator(pipeline.device).manual_seed(settings.seed)
        self.class_pictures = self._class_pictures(progress)
        half = len(photos) // 2
        self.reference, self.originals, self.images = photos[:half], photos[half:], photos[half:]
        self.landmarks = find_landmarks(detector, self.originals)
        person = prototypes(recognizers, self.reference, find_landmarks(detector, self.reference))
        self.identity = IdentityLoss(recognizers, detector, person, tau=settings.decoupling.tau)
        self.parameters = self._trainable()
        self.optimizer = torch.optim.AdamW(self.parameters, lr=settings.learning_rate)
        self._turn = count()

    def fine_tune(self, photos: Tensor) -> None:
        """One DreamBooth step with prior preservation (eq. 4)."""
        tuning, prompts = self.settings.fine_tuning, self.settings.prompts
        chosen = [next(self._turn) % len(photos) for _ in range(tuning.batch)]
        classes = [i % len(self.class_pictures) for i in range(tuning.class_batch)]
        pictures = torch.cat([photos[chosen], self.class_pictures[classes]])
        self._train(True)
        with torch.no_grad():
            latents = self._encode(pictures)
        noise = randn_tensor(latents.shape, self.generator, latents.device)
        t = self._timesteps(len(latents), len(self.alphas))
        with self._autocast():
            text = self._embed([prompts.instance] * len(chosen) + [prompts.prior] * len(classes))
            output = self.unet(self.schedule.add_noise(latents, noise, t), t, text).sample
        error = (output.float() - self._target(latents, noise, t)).square()
        loss = error[: len(chosen)].mean() + tuning.prior_weight * error[len(chosen) :].mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, tuning.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def perturb(self, stage: Stage) -> None:
        """One projected-gradient step on X' (Algorithm 1, lines 8-12)."""
        settings = self.settings.decoupling
        self._train(False)
        gradients = []
        for start in range(0, len(self.images), settings.micro_batch):
            rows = slice(start, start + settings.micro_batch)
            leaf = self.images[rows].clone().requires_grad_(True)
            stages = (Stage.FIDELITY, Stage.IDENTITY) if stage is Stage.JOINT else (stage,)
            loss = torch.stack([self._loss(leaf, each, rows) for each in stages]).sum()
            gradients.append(torch.autograd.grad(loss, leaf)[0])
        moved = self.images - settings.step * torch.cat(gradients).sign()
        moved = moved.clamp(self.originals - settings.radius, self.originals + settings.radius)
        self.images = moved.clamp(-1, 1)

    def save(self, folder: Path) -> None:
        """The pipeline, or its LoRA."""
        if self.settings.method == "dreambooth":
            self.pipeline.save_pretrained(folder)
            return
        layers = {"unet_lora_layers": self.unet}
        if self.settings.train_text_encoder:
            layers["text_encoder_lora_layers"] = self.text_encoder
        states = {name: get_peft_model_state_dict(network) for name, network in layers.items()}
        self.pipeline.save_lora_weights(folder, **states)

    def _loss(self, images: Tensor, stage: Stage, rows: slice) -> Tensor:
        latents = self._encode(images)
        noise = randn_tensor(latents.shape, self.generator, latents.device)
        below = len(self.alphas) if stage is Stage.FIDELITY else self.settings.decoupling.t_max
        t = self._timesteps(len(latents), below)
        noisy = self.schedule.add_noise(latents, noise, t)
        with self._autocast():
            text = self._embed([self.settings.prompts.instance] * len(latents))
            output: Tensor = self.unet(noisy, t, text).sample.float()
        if stage is Stage.FIDELITY:
            return (output - self._target(latents, noise, t)).square().mean()
        alpha = self.alphas[t].view(-1, 1, 1, 1)
        if self.schedule.config.prediction_type == "v_prediction":
            clean = alpha.sqrt() * noisy - (1 - alpha).sqrt() * output
        else:
            clean = (noisy - (1 - alpha).sqrt() * output) / alpha.sqrt()
        pictures = self.vae.decode(clean / self.vae.config.scaling_factor).sample
        return self.identity(pictures, self.landmarks[rows]).loss.sum()

    def _class_pictures(self, progress: Progress) -> Tensor:
        prior = self.settings.prior
        parts = []
        for start in range(0, prior.count, prior.batch):
            pictures = self.pipeline(
                self.settings.prompts.prior,
                num_images_per_prompt=min(prior.batch, prior.count - start),
                num_inference_steps=prior.sampler_steps,
                guidance_scale=prior.guidance,
                generator=self.generator,
                output_type="pt",
            ).images
            parts.append(2 * pictures - 1)
            progress(CLASS_PICTURES, start + len(pictures), prior.count)
        return torch.cat(parts)

    def _trainable(self) -> list[torch.nn.Parameter]:
        """Freeze all but what the method trains, all of it in float32."""
        self.vae.requires_grad_(False)
        lora, trains_text = self.settings.method == "lora", self.settings.train_text_encoder
        self.unet.requires_grad_(not lora)
        self.text_encoder.requires_grad_(trains_text and not lora)
        if lora:
            rank = self.settings.lora.rank
            self.unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(UNET_TARGETS)))
            if trains_text:
                self.text_encoder.add_adapter(
                    LoraConfig(r=rank, lora_alpha=rank, target_modules=list(TEXT_TARGETS))
                )
        if self.settings.save_memory:
            self.unet.enable_gradient_checkpointing()
            self.vae.enable_gradient_checkpointing()
        both = (self.unet, self.text_encoder)
        return [each for network in both for each in network.parameters() if each.requires_grad]

    def _train(self, training: bool) -> None:
        for parameter in self.parameters:
            parameter.requires_grad_(training)

    def _encode(self, images: Tensor) -> Tensor:
        latents: Tensor = (
            self.vae.encode(images).latent_dist.sample(self.generator) * self.vae.config.scaling_factor
        )
        return latents

    def _embed(self, prompts: list[str]) -> Tensor:
        tokens = self.pipeline.tokenizer(prompts, padding="max_length", truncation=True, return_tensors="pt")
        embedding: Tensor = self.text_encoder(tokens.input_ids.to(self.pipeline.device))[0]
        return embedding

    def _target(self, latents: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        if self.schedule.config.prediction_type == "v_prediction":
            velocity: Tensor = self.schedule.get_velocity(latents, noise, t)
            return velocity
        return noise

    def _timesteps(self, count: int, below: int) -> Tensor:
        return torch.randint(below, (count,), generator=self.generator, device=self.pipeline.device)

    def _autocast(self) -> torch.autocast:
        half = self.settings.fine_tuning.precision == "bf16"
        return torch.autocast(self.pipeline.device.type, dtype=torch.bfloat16, enabled=half)

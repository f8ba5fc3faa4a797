"""A latent diffusion model as personalisation needs it: encode, decode, embed text, predict, predict x0."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn

from visard.diffusion.conditioning import Conditioning
from visard.diffusion.folders import (
    SD,
    SDXL,
    TEXT_ENCODERS,
    bare_name,
    write_index,
    write_part,
    write_tokenizer,
)
from visard.diffusion.loading import Parts, load_folder, quiet
from visard.diffusion.schedule import NoiseSchedule
from visard.diffusion.schedulers import build_scheduler
from visard.diffusion.single_file import load_single_file
from visard.diffusion.sources import resolve
from visard.errors import ModelError
from visard.precision import full_precision
from visard.storage import atomic_folder

log = logging.getLogger(__name__)

SMALL_SIDE = 32
"""Latents up to this side have so few tokens that, on a CPU, attention written out is faster than the fused
kernel (a UNet's bfloat16 step at 16 x 16 by a third); its memory grows with the fourth power of the side."""


@dataclass(frozen=True)
class Posterior:
    """The encoder's Gaussian over scaled latents: `mean` and `std`, `(B, C, h, w)`."""

    mean: Tensor
    std: Tensor

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One draw, differentiable in mean and std; for a CPU generator the same on every device."""
        device = generator.device if generator is not None else self.mean.device
        noise = torch.randn(self.mean.shape, generator=generator, device=device, dtype=self.mean.dtype)
        return self.mean + self.std * noise.to(self.mean.device)


class Backbone:
    """A Stable Diffusion 1.x / 2.x or SDXL model. Images are picture tensors `(B, 3, H, W)` in [-1, 1].

    Parts: AutoencoderKL, UNet2DConditionModel and one CLIPTextModel with its CLIPTokenizer; SDXL has a second
    pair of them (untyped in their libraries).

    The autoencoder runs in float32 at least, also under autocast: its activations overflow half precision.
    """

    def __init__(self, parts: Parts, source: str, revision: str | None = None) -> None:
        self.vae: Any = parts.vae
        self.unet: Any = parts.unet
        self.text_encoders = list(parts.text_encoders)
        self.tokenizers = list(parts.tokenizers)
        self.scheduler_config = parts.scheduler_config
        self.schedule = NoiseSchedule.from_config(parts.scheduler_config)
        self.zeros_for_empty = parts.zeros_for_empty
        self.files = dict(parts.files)
        """The weight files it was loaded from."""
        self.source = source
        self.revision = revision
        self._cut_off: set[str] = set()
        self._check_fit()

    @classmethod
    def load(
        cls,
        source: str | Path,
        *,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
        revision: str | None = None,
    ) -> Backbone:
        """Load a diffusers folder, a safetensors file (A1111, ComfyUI), a hub id or an alias (`ALIASES`).

        `dtype`: of the UNet and the text encoders. Frozen: whoever trains says what. Raises ModelError.
        """
        found = resolve(source, revision)
        load = load_single_file if found.path.is_file() else load_folder
        backbone = cls(load(found.path, dtype), found.name, found.revision)
        # Tensor cores want channels last; on CPUs it was measured to be no faster.
        layout = torch.channels_last if torch.device(device).type == "cuda" else torch.preserve_format
        for network in backbone.networks.values():
            network.to(device=device, memory_format=layout)  # type: ignore[call-overload]
        if backbone.device.type == "cpu" and backbone.unet.config.sample_size <= SMALL_SIDE:
            backbone.unet.set_attn_processor(AttnProcessor())
        backbone.freeze()  # what could train takes other kernels on some CPUs, and comes to other last bits
        return backbone

    @property
    def is_xl(self) -> bool:
        """Whether it is an SDXL model: two text encoders, pooled embedding, time ids."""
        return len(self.text_encoders) > 1

    @property
    def text_encoder(self) -> Any:
        """The text encoder; of SDXL, the first."""
        return self.text_encoders[0]

    @property
    def tokenizer(self) -> Any:
        """The tokenizer; of SDXL, the first."""
        return self.tokenizers[0]

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The networks by the name of their part."""
        return {"vae": self.vae, **self.adaptable}

    @property
    def adaptable(self) -> dict[str, nn.Module]:
        """What personalisation may train: the UNet and the text encoders, by the name of their part."""
        return {"unet": self.unet, **dict(zip(TEXT_ENCODERS, self.text_encoders, strict=False))}

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return torch.device(self.unet.device)

    @property
    def factor(self) -> int:
        """Picture pixels per latent pixel, along one side."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def resolution(self) -> int:
        """Side of the square pictures the model was trained on, in pixels."""
        return int(self.unet.config.sample_size) * self.factor

    def encode(self, images: Tensor) -> Posterior:
        """Posterior over scaled latents; differentiable in images."""
        scale = self.vae.config.scaling_factor
        with full_precision(self.device):
            gaussian = self.vae.encode(images.to(self.device, self.vae.dtype)).latent_dist
        return Posterior(gaussian.mean * scale, gaussian.std * scale)

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures of scaled latents, not clamped; differentiable in latents."""
        with full_precision(self.device):
            images: Tensor = self.vae.decode(
                latents.to(self.device, self.vae.dtype) / self.vae.config.scaling_factor
            ).sample
        return images

    def reconstruct(self, images: Tensor) -> Tensor:
        """Encoded and decoded, in [-1, 1]: whatever the latents cannot hold is lost."""
        return self.decode(self.encode(images).mean).clamp(-1, 1)

    def embed_text(self, prompts: list[str]) -> Conditioning:
        """What the prompts tell the UNet; what exceeds the encoder's L tokens is cut off, with a warning."""
        self._warn_of_long(prompts)
        if not self.is_xl:
            return Conditioning(self._encode_text(prompts, 0)[0])
        outputs = [self._encode_text(prompts, index, output_hidden_states=True) for index in (0, 1)]
        text = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1)
        side = self.resolution
        time_ids = torch.tensor([[side, side, 0, 0, side, side]], device=text.device, dtype=text.dtype)
        return Conditioning(text, outputs[1].text_embeds, time_ids.repeat(len(prompts), 1))

    def predict(self, zt: Tensor, t: Tensor, text: Conditioning) -> Tensor:
        """Raw float32 output of the UNet: latents `(B, C, h, w)`, timesteps `(B,)`, what the prompts tell."""
        dtype = self.unet.dtype
        told = text.to(self.device, dtype)
        added = {"text_embeds": told.pooled, "time_ids": told.time_ids} if self.is_xl else None
        output: Tensor = self.unet(
            zt.to(self.device, dtype),
            t.to(self.device),
            encoder_hidden_states=told.text,
            added_cond_kwargs=added,
        ).sample
        return output.to(torch.promote_types(output.dtype, torch.float32))

    def predict_x0(self, zt: Tensor, t: Tensor, text: Conditioning) -> Tensor:
        """One-step estimate of the clean scaled latents, without guidance, which IDDM decodes."""
        return self.schedule.x0(zt.to(self.device), self.predict(zt, t, text), t)

    def freeze(self) -> None:
        """Evaluation mode, and no parameter needs a gradient; gradients with respect to inputs still flow."""
        for network in self.networks.values():
            network.requires_grad_(False)
            network.eval()

    def checkpoint_gradients(self, enabled: bool = True) -> None:
        """Recompute the UNet's and both autoencoder halves' activations in the backward pass.

        Far less memory for about a third more time; results are the same.
        """
        for network in (self.unet, self.vae):
            if enabled:
                network.enable_gradient_checkpointing()
            else:
                network.disable_gradient_checkpointing()

    def pipeline(self, scheduler: str = "dpm++") -> Any:
        """A diffusers pipeline around the same networks, without safety checker; names in `SCHEDULERS`."""
        with quiet():  # the import warns that torchvision, which nothing here needs, is absent
            import diffusers

            kind: Any = getattr(diffusers, SDXL if self.is_xl else SD)
        parts = {
            "vae": self.vae,
            "unet": self.unet,
            "text_encoder": self.text_encoder,
            "tokenizer": self.tokenizer,
            "scheduler": build_scheduler(scheduler, self.scheduler_config),
        }
        if self.is_xl:
            pipeline = kind(
                **parts,
                text_encoder_2=self.text_encoders[1],
                tokenizer_2=self.tokenizers[1],
                force_zeros_for_empty_prompt=self.zeros_for_empty,
                add_watermarker=False,
            )
        else:
            pipeline = kind(
                **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
            )
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def save(self, folder: str | Path, dtype: torch.dtype | None = None) -> None:
        """Write a diffusers folder, atomically and without any path of this machine.

        `dtype`: of the weights on disk. Raises StorageError, and ModelError while LoRA layers are attached.
        """
        if any(getattr(network, "peft_config", None) for network in self.adaptable.values()):
            raise ModelError(
                "The model has LoRA layers attached and cannot be saved as a whole.",
                "Merge them first (merge_lora) or save the LoRA alone (save_lora).",
            )
        with atomic_folder(folder) as target:
            for part, network in self.networks.items():
                write_part(target, part, network, dtype)
            for part, tokenizer in zip(("tokenizer", "tokenizer_2"), self.tokenizers, strict=False):
                write_tokenizer(target, tokenizer, part)
            write_index(
                target,
                self.scheduler_config,
                SDXL if self.is_xl else SD,
                zeros_for_empty=self.zeros_for_empty,
            )

    def fingerprint(self) -> str:
        """A short hash of the weights and the noise schedule, to name caches by: equal models, equal hash.

        Reads about a thousand values of each tensor; a fine-tuned copy differs in nearly all of them.
        """
        digest = hashlib.sha256(f"{self.schedule.prediction_type} {self.vae.config.scaling_factor}".encode())
        digest.update(self.schedule.alphas_cumprod.cpu().numpy().tobytes())
        for part, network in self.networks.items():
            tensors = {bare_name(part, name): tensor for name, tensor in network.state_dict().items()}
            for name, tensor in sorted(tensors.items()):
                values = tensor.detach().flatten()[:: max(1, tensor.numel() // 1024)]
                digest.update(f"{part}.{name} {tuple(tensor.shape)}".encode())
                digest.update(values.to("cpu", torch.float32).numpy().tobytes())
        return digest.hexdigest()[:16]

    def _encode_text(self, prompts: list[str], index: int, **options: Any) -> Any:
        tokenizer, encoder = self.tokenizers[index], self.text_encoders[index]
        length = encoder.config.max_position_embeddings
        batch = tokenizer(
            prompts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        masked = getattr(encoder.config, "use_attention_mask", False)
        mask = batch.attention_mask.to(self.device) if masked else None
        return encoder(batch.input_ids.to(self.device), attention_mask=mask, **options)

    def _warn_of_long(self, prompts: list[str]) -> None:
        length = self.text_encoder.config.max_position_embeddings
        for prompt in prompts:
            tokens = len(self.tokenizer(prompt, verbose=False).input_ids)
            if tokens > length and prompt not in self._cut_off:
                self._cut_off.add(prompt)
                shown = shorten(prompt, 60, placeholder=" ...")
                log.warning("This prompt has %d tokens and the model reads %d: %s", tokens, length, shown)

    def _check_fit(self) -> None:
        """Raise ModelError when the parts come from different models."""
        unet, vae = self.unet.config, self.vae.config
        widths = [encoder.config.hidden_size for encoder in self.text_encoders]
        pairs = {
            "the UNet reads {} latent channels, the autoencoder gives {}": (
                unet.in_channels,
                vae.latent_channels,
            ),
            "the UNet reads text embeddings {} wide, the text encoder gives {}": (
                unet.cross_attention_dim,
                sum(widths),
            ),
        }
        if self.is_xl:
            pooled = self.unet.add_embedding.linear_1.in_features - 6 * unet.addition_time_embed_dim
            given = self.text_encoders[1].config.projection_dim
            pairs["the UNet reads pooled embeddings {} wide, the second text encoder gives {}"] = (
                pooled,
                given,
            )
        wrong = [text.format(*sizes) for text, sizes in pairs.items() if sizes[0] != sizes[1]]
        for tokenizer, encoder in zip(self.tokenizers, self.text_encoders, strict=True):
            entries, tokens = encoder.config.vocab_size, len(tokenizer)
            if tokens > entries:
                wrong.append(f"the tokenizer has {tokens} tokens, the text encoder knows {entries}")
        if wrong:
            raise ModelError(
                f"The parts of {self.source} do not fit together: {'; '.join(wrong)}.",
                "Use one whole text-to-image model (inpainting and depth variants are not supported).",
            )
        if getattr(vae, "latents_mean", None) is not None:
            raise ModelError(
                f"The autoencoder of {self.source} shifts its latents (latents_mean), as Playground's does.",
                "Use a model with the autoencoder of Stable Diffusion or SDXL.",
            )

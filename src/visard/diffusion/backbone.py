"""A latent diffusion model as personalisation needs it: encode, decode, embed text, predict, predict x0."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from visard.diffusion.folders import (
    SCHEDULER_CONFIG,
    not_finite,
    read_json,
    write_index,
    write_part,
    write_tokenizer,
)
from visard.diffusion.schedule import NoiseSchedule
from visard.diffusion.schedulers import build_scheduler
from visard.diffusion.sources import resolve
from visard.errors import ModelError
from visard.storage import atomic_folder

log = logging.getLogger(__name__)


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
    """A Stable Diffusion 1.x / 2.x model. Images are picture tensors `(B, 3, H, W)` in [-1, 1].

    Parts: AutoencoderKL, UNet2DConditionModel, CLIPTextModel, CLIPTokenizer (untyped in their libraries).

    The autoencoder runs in float32 at least, also under autocast: its activations overflow half precision.
    """

    def __init__(
        self,
        vae: Any,
        unet: Any,
        text_encoder: Any,
        tokenizer: Any,
        scheduler_config: dict[str, Any],
        source: str,
        revision: str | None = None,
    ) -> None:
        self.vae: Any = vae
        self.unet: Any = unet
        self.text_encoder: Any = text_encoder
        self.tokenizer: Any = tokenizer
        self.scheduler_config = scheduler_config
        self.schedule = NoiseSchedule.from_config(scheduler_config)
        self.source = source
        self.revision = revision
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
        """Load a diffusers folder, a hub id or an alias (`sources.ALIASES`). Raises ModelError.

        `dtype`: of the UNet and the text encoder.
        """
        found = resolve(source, revision)
        scheduler_config = read_json(found.folder / "scheduler" / SCHEDULER_CONFIG)
        backbone = cls(
            _load_network(AutoencoderKL, found.folder, "vae", torch.promote_types(dtype, torch.float32)),
            _load_network(UNet2DConditionModel, found.folder, "unet", dtype),
            _load_network(CLIPTextModel, found.folder, "text_encoder", dtype),
            _load_tokenizer(found.folder),
            scheduler_config,
            found.name,
            found.revision,
        )
        # Tensor cores want channels last; on CPUs it was measured to be no faster.
        layout = torch.channels_last if torch.device(device).type == "cuda" else torch.preserve_format
        for network in (backbone.vae, backbone.unet, backbone.text_encoder):
            network.to(device=device, memory_format=layout)
        return backbone

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The three networks by the name of their part."""
        return {"vae": self.vae, "unet": self.unet, "text_encoder": self.text_encoder}

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
        with self._full_precision():
            gaussian = self.vae.encode(images.to(self.device, self.vae.dtype)).latent_dist
        return Posterior(gaussian.mean * scale, gaussian.std * scale)

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures of scaled latents, not clamped; differentiable in latents."""
        with self._full_precision():
            images: Tensor = self.vae.decode(
                latents.to(self.device, self.vae.dtype) / self.vae.config.scaling_factor
            ).sample
        return images

    def embed_text(self, prompts: list[str]) -> Tensor:
        """Text embeddings `(B, L, D)`; what exceeds the encoder's L tokens is cut off, with a warning."""
        length = self.text_encoder.config.max_position_embeddings
        for prompt in prompts:
            tokens = len(self.tokenizer(prompt, verbose=False).input_ids)
            if tokens > length:
                log.warning("This prompt has %d tokens and the model reads %d: %s", tokens, length, prompt)
        batch = self.tokenizer(
            prompts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        masked = getattr(self.text_encoder.config, "use_attention_mask", False)
        mask = batch.attention_mask.to(self.device) if masked else None
        embedding: Tensor = self.text_encoder(batch.input_ids.to(self.device), attention_mask=mask)[0]
        return embedding

    def predict(self, zt: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """Raw float32 output of the UNet: latents `(B, C, h, w)`, timesteps `(B,)`, text `(B, L, D)`."""
        dtype = self.unet.dtype
        output: Tensor = self.unet(
            zt.to(self.device, dtype), t.to(self.device), encoder_hidden_states=text.to(self.device, dtype)
        ).sample
        return output.to(torch.promote_types(output.dtype, torch.float32))

    def predict_x0(self, zt: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """One-step estimate of the clean scaled latents, without guidance (IDDM, eq. 9)."""
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
        with _quiet():  # the import warns that torchvision, which nothing here needs, is absent
            import diffusers

            kind: Any = diffusers.StableDiffusionPipeline
        pipeline = kind(
            vae=self.vae,
            text_encoder=self.text_encoder,
            tokenizer=self.tokenizer,
            unet=self.unet,
            scheduler=build_scheduler(scheduler, self.scheduler_config),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def save(self, folder: str | Path, dtype: torch.dtype | None = None) -> None:
        """Write a diffusers folder, atomically and without any path of this machine.

        `dtype`: of the weights on disk. Raises StorageError, and ModelError while LoRA layers are attached.
        """
        if getattr(self.unet, "peft_config", None) or getattr(self.text_encoder, "peft_config", None):
            raise ModelError(
                "The model has LoRA layers attached and cannot be saved as a whole.",
                "Merge them first (merge_lora) or save the LoRA alone (save_lora).",
            )
        with atomic_folder(folder) as target:
            for part, network in self.networks.items():
                write_part(target, part, network, dtype)
            write_tokenizer(target, self.tokenizer)
            write_index(target, self.scheduler_config)

    def fingerprint(self) -> str:
        """A short hash of the weights and the noise schedule, to name caches by: equal models, equal hash.

        Reads about a thousand values of each tensor; a fine-tuned copy differs in nearly all of them.
        """
        digest = hashlib.sha256(f"{self.schedule.prediction_type} {self.vae.config.scaling_factor}".encode())
        digest.update(self.schedule.alphas_cumprod.cpu().numpy().tobytes())
        for part, network in self.networks.items():
            for name, tensor in sorted(network.state_dict().items()):
                values = tensor.detach().flatten()[:: max(1, tensor.numel() // 1024)]
                digest.update(f"{part}.{name} {tuple(tensor.shape)}".encode())
                digest.update(values.to("cpu", torch.float32).numpy().tobytes())
        return digest.hexdigest()[:16]

    @contextmanager
    def _full_precision(self) -> Iterator[None]:
        with torch.autocast(self.device.type, enabled=False):
            yield

    def _check_fit(self) -> None:
        """Raise ModelError when the parts come from different models."""
        pairs = {
            "the UNet reads {} latent channels, the autoencoder gives {}": (
                self.unet.config.in_channels,
                self.vae.config.latent_channels,
            ),
            "the UNet reads text embeddings {} wide, the text encoder gives {}": (
                self.unet.config.cross_attention_dim,
                self.text_encoder.config.hidden_size,
            ),
        }
        wrong = [text.format(*sizes) for text, sizes in pairs.items() if sizes[0] != sizes[1]]
        entries, tokens = self.text_encoder.config.vocab_size, len(self.tokenizer)
        if tokens > entries:
            wrong.append(f"the tokenizer has {tokens} tokens, the text encoder knows {entries}")
        if wrong:
            raise ModelError(
                f"The parts of {self.source} do not fit together: {'; '.join(wrong)}.",
                "Use one whole text-to-image model (inpainting and depth variants are not supported).",
            )


def _load_network(cls: Any, folder: Path, part: str, dtype: torch.dtype) -> Any:
    """Load one network strictly: the libraries would fill in what is missing with random weights."""
    keyword = "dtype" if part == "text_encoder" else "torch_dtype"
    again = "Copy or download the whole model again."
    try:
        with _quiet():
            network, report = cls.from_pretrained(
                folder / part, use_safetensors=True, output_loading_info=True, **{keyword: dtype}
            )
    except (OSError, ValueError, RuntimeError, TypeError, KeyError, SafetensorError) as error:
        raise ModelError(f"{folder / part} cannot be loaded: {error}", again) from error
    for kind in ("missing_keys", "mismatched_keys"):
        if names := sorted(map(str, report[kind])):
            what = kind.removesuffix("_keys")
            raise ModelError(f"{folder / part} has {len(names)} {what} weights, such as {names[0]}.", again)
    if names := not_finite(network):
        raise ModelError(
            f"{folder / part} has NaN or infinite weights in {len(names)} tensors, such as {names[0]}.",
            "The training that wrote it went wrong; use an earlier checkpoint or the original model.",
        )
    return network


def _load_tokenizer(folder: Path) -> Any:
    try:
        with _quiet():
            return CLIPTokenizer.from_pretrained(folder / "tokenizer")
    except Exception as error:  # the Rust tokenizers raise plain Exception on damaged files
        raise ModelError(
            f"{folder / 'tokenizer'} cannot be loaded: {error}", "Copy or download the whole model again."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and load reports from transformers; what matters in them is checked and raised."""
    settings: Any = transformers.utils.logging
    bars, level = settings.is_progress_bar_enabled(), settings.get_verbosity()
    settings.disable_progress_bar()
    settings.set_verbosity_error()
    try:
        yield
    finally:
        settings.set_verbosity(level)
        if bars:
            settings.enable_progress_bar()

"""The forward diffusion process and its inverse, for both parameterisations of the network's output.

Notation: abar_t is the cumulative product of 1 - beta, z_t = sqrt(abar_t) z_0 + sqrt(1 - abar_t) noise
(Ho et al. 2020, eq. 4); v = sqrt(abar_t) noise - sqrt(1 - abar_t) z_0 (Salimans and Ho 2022, appendix D).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from visard.diffusion.schedulers import build_scheduler
from visard.errors import ModelError

PREDICTION_TYPES = ("epsilon", "v_prediction")


class NoiseSchedule:
    """Discrete variance-preserving noise schedule.

    Latents are `(B, ...)`, timesteps are integers `(B,)` or a scalar in [0, T). Results are float32 at least,
    whatever the network ran in: 1/sqrt(abar_t) is about 15 at the noisy end and would amplify rounding.
    """

    def __init__(self, alphas_cumprod: Tensor, prediction_type: str) -> None:
        if prediction_type not in PREDICTION_TYPES:
            raise ModelError(
                f"The model predicts '{prediction_type}', which is not supported.",
                f"Use a model whose scheduler_config.json says one of: {', '.join(PREDICTION_TYPES)}.",
            )
        if prediction_type == "epsilon" and not bool((alphas_cumprod > 0).all()):
            raise ModelError(
                "The noise schedule ends in pure noise, from which predicted noise recovers no picture.",
                "Such a schedule (rescale_betas_zero_snr) needs v_prediction; check scheduler_config.json.",
            )
        self.alphas_cumprod = alphas_cumprod
        self.prediction_type = prediction_type

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> NoiseSchedule:
        """Schedule described by a diffusers `scheduler_config.json`. Raises ModelError for flow models."""
        name = str(config.get("_class_name", ""))
        if "Flow" in name:
            raise ModelError(
                f"The model uses the scheduler {name}; flow-matching models are not supported.",
                "Use a Stable Diffusion 1.x, 2.x or SDXL model.",
            )
        scheduler = build_scheduler("ddpm", config)
        return cls(scheduler.alphas_cumprod, scheduler.config.prediction_type)

    def __len__(self) -> int:
        return self.alphas_cumprod.numel()

    def add_noise(self, z0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """z_t, the noised latents."""
        signal, spread = self._coefficients(t, z0)
        return signal * z0 + spread * noise

    def target(self, z0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """What the network is trained to output for z_t."""
        if self.prediction_type == "epsilon":
            return noise
        signal, spread = self._coefficients(t, z0)
        return signal * noise - spread * z0

    def x0(self, zt: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """One-step estimate of z_0 from the network's output, as IDDM decodes it."""
        signal, spread = self._coefficients(t, zt)
        if self.prediction_type == "epsilon":
            return (zt - spread * output) / signal
        return signal * zt - spread * output

    def noise(self, zt: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """The noise that the network's output implies."""
        if self.prediction_type == "epsilon":
            return output
        signal, spread = self._coefficients(t, zt)
        return spread * zt + signal * output

    def _abar(self, t: Tensor, device: torch.device) -> Tensor:
        if self.alphas_cumprod.device != device:  # moves once, then stays with the latents
            self.alphas_cumprod = self.alphas_cumprod.to(device)
        return self.alphas_cumprod[t.to(device)]

    def _coefficients(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(abar_t) and sqrt(1 - abar_t), broadcastable over `like`."""
        dtype = torch.promote_types(like.dtype, torch.float32)
        abar = self._abar(t, like.device).to(dtype)
        abar = abar.reshape(abar.shape + (1,) * (like.ndim - abar.ndim))
        return abar.sqrt(), (1 - abar).sqrt()

"""Trains the micro Stable Diffusion's autoencoder: both halves, then the decoder alone on fixed latents.

Once "autoencoder" has run the latent space stays as it is, so "decoder" and the text-to-image recipe can go
on side by side.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn

from visard.diffusion.backbone import Backbone
from visard.diffusion.blueprints import write_blueprint
from visard.diffusion.folders import write_part
from visard.world.captions import VOCABULARY
from visard.world.dataset import Pictures, load
from visard.world.recipes import Job
from visard.world.recipes.card import training_facts, write_card
from visard.world.recipes.training import Batches, Clock, Figures

FOLDER = "stable-diffusion"
BATCH = 8
LEARNING_RATE = {"autoencoder": 2e-3, "decoder": 1e-3}
KL_WEIGHT = 1e-4
FACE_WEIGHT = 3.0
EDGE_WEIGHT = 0.5
SQUARE_WEIGHT = 2.0
CROP = 96
CROPPED = 0.7
"""Until this share of the budget pictures are cropped to CROP: nearly twice the steps, mostly of faces."""
_MEASURED = 256
_PASSAGES = ("conv_in", "conv_out", "conv_shortcut", "samplers", "quant_conv")


def build(name: str, job: Job) -> dict[str, Any]:
    """Train and export the autoencoder ("autoencoder") or its decoder on fixed latents ("decoder")."""
    folder = job.out / FOLDER
    if not folder.exists():
        write_blueprint(
            "micro",
            folder,
            words=VOCABULARY,
            prediction_type="v_prediction",
            seed=job.seed,
            dtype=torch.float16,
        )
    vae = Backbone.load(folder).vae.requires_grad_(True)
    frozen = name == "decoder"
    if frozen:
        job = replace(job, start=None)  # it goes on from the autoencoder in `job.out`
    elif job.start is not None:
        vae.load_state_dict(Backbone.load(job.start / FOLDER).vae.state_dict())
    else:
        start_as_passage(vae)
    pictures = load("base", job.data)
    latents = encode_all(vae, pictures, job) if frozen else None
    trained_parts = {"decoder": vae.decoder, "post": vae.post_quant_conv}
    if not frozen:
        trained_parts |= {"encoder": vae.encoder, "quant": vae.quant_conv}
    batches = Batches(len(pictures), BATCH, job.seed)
    weights = torch.from_numpy(pictures.boxes)

    def step(clock: Clock) -> tuple[Tensor, Figures]:
        chosen = batches(clock.step)
        images = picture_batch(pictures, chosen).to(job.device)
        face = face_mask(weights[chosen], images.shape[-1]).to(job.device)
        kl: Tensor | float = 0.0
        if latents is None:
            if clock.spent < CROPPED:
                images, face = crop(images, face, clock.generator)
            if torch.rand((), generator=clock.generator) < 0.5:
                images, face = images.flip(-1), face.flip(-1)
            moments = vae.quant_conv(vae.encoder(images)).float()
            mean, log_variance = moments.chunk(2, 1)
            log_variance = log_variance.clamp(-30, 20)
            kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
        else:
            mean, log_variance = (latents[chosen].to(job.device) for latents in latents)
        noise = torch.randn(mean.shape, generator=clock.generator).to(job.device)
        output = vae.decoder(vae.post_quant_conv(mean + (0.5 * log_variance).exp() * noise)).float()
        loss, figures = reconstruction_loss(output, images, 1 + (FACE_WEIGHT - 1) * face)
        return loss + KL_WEIGHT * kl, {**figures, "kl": kl}

    trained = job.train(
        name,
        step,
        trained_parts,
        lr=LEARNING_RATE[name],
        batch=BATCH,
        ema=0.998,
        weight_decay=0.0,
    )
    if not frozen:
        means, _ = encode_all(vae, pictures, job, limit=1024)
        vae.register_to_config(scaling_factor=round(1 / float(means.std()), 4))
    write_part(folder, "vae", vae, torch.float16)
    scores = measure(folder, load("regressor", job.data))
    write_card(
        job.out / FOLDER / "vae",
        title=f"{name} of the micro Stable Diffusion",
        purpose="AutoencoderKL, 128 px pictures to 16 x 16 x 8 latents.",
        facts=training_facts(trained, job, folder / "vae", vae, batch=BATCH, pictures=len(pictures)),
        scores=scores,
        row={},
    )
    return scores


def picture_batch(pictures: Pictures, chosen: Tensor) -> Tensor:
    """Picture tensor (B, 3, H, W) of the chosen rows."""
    pixels = torch.from_numpy(pictures.pixels[chosen.numpy()])
    return (pixels.permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def face_mask(boxes: Tensor, size: int) -> Tensor:
    """(B, 1, size, size): 1 inside the face box, 0 elsewhere."""
    at = torch.arange(size)
    x = (at >= boxes[:, 0:1]) & (at <= boxes[:, 2:3])
    y = (at >= boxes[:, 1:2]) & (at <= boxes[:, 3:4])
    return (x[:, None, :] & y[:, :, None])[:, None].float()


def crop(images: Tensor, face: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The same random window of CROP px of every picture and mask."""
    x, y = torch.randint(0, images.shape[-1] - CROP + 1, (2,), generator=generator).tolist()
    window = (..., slice(y, y + CROP), slice(x, x + CROP))
    return images[window].contiguous(memory_format=torch.channels_last), face[window]


def reconstruction_loss(output: Tensor, images: Tensor, weight: Tensor) -> tuple[Tensor, Figures]:
    """Weighted errors of pixels, absolute and squared, and of finite differences, which keep edges sharp."""
    error = output - images
    across = (error[..., 1:] - error[..., :-1]).abs() * weight[..., 1:]
    down = (error[..., 1:, :] - error[..., :-1, :]).abs() * weight[..., 1:, :]
    edges, flat = across.mean() + down.mean(), (error.abs() * weight).mean()
    square = (error.square() * weight).mean()
    loss = EDGE_WEIGHT * edges + flat + SQUARE_WEIGHT * square
    return loss, {"l1": flat, "edges": edges, "mse": square}


def start_as_passage(vae: Any) -> None:
    """Let colours pass from picture to latent to picture before anything is learnt; saves hundreds of steps.

    Residual blocks begin as the identity, the convolutions between them hand on the first channels, and the
    posterior begins narrow.
    """
    for name, module in vae.named_modules():
        if isinstance(module, ResnetBlock2D):
            module.conv2.weight.data.zero_()
        elif isinstance(module, nn.Conv2d) and any(part in name for part in _PASSAGES):
            nn.init.dirac_(module.weight)
            if "downsamplers" in name:
                module.weight.data.copy_(
                    module.weight.data.sum((2, 3), keepdim=True).expand_as(module.weight) / 9
                )
            module.weight.data.add_(torch.randn_like(module.weight), alpha=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    vae.quant_conv.bias.data[vae.config.latent_channels :] = -6.0


@torch.no_grad()
def encode_all(vae: Any, pictures: Pictures, job: Job, limit: int | None = None) -> tuple[Tensor, Tensor]:
    """Posterior means and log-variances (N, C, 16, 16) of a set, unscaled."""
    moments = []
    count = min(limit or len(pictures), len(pictures))
    for first in range(0, count, 32):
        images = picture_batch(pictures, torch.arange(first, min(first + 32, count)))
        with torch.autocast(torch.device(job.device).type, torch.bfloat16):
            moments.append(vae.quant_conv(vae.encoder(images.to(job.device))).float().cpu())
        if first % 1024 == 0:
            job.progress("encoding", first, count)
    mean, log_variance = torch.cat(moments).chunk(2, 1)
    return mean, log_variance.clamp(-30, 20)


@torch.no_grad()
def measure(folder: Path, pictures: Pictures) -> dict[str, float]:
    """PSNR (dB) of encode-decode on unseen people, whole picture and face box."""
    backbone = Backbone.load(folder)
    images = picture_batch(pictures, torch.arange(min(_MEASURED, len(pictures))))
    output = torch.cat(
        [backbone.decode(backbone.encode(part).mean) for part in torch.split(images, 32)]
    ).clamp(-1, 1)
    error = ((output - images) / 2) ** 2
    face = face_mask(torch.from_numpy(pictures.boxes[: len(images)]), images.shape[-1])
    inside = (error * face).sum() / (3 * face.sum())
    return {
        "pictures": len(images),
        "PSNR": -10 * float(error.mean().log10()),
        "PSNR of the face": -10 * float(inside.log10()),
    }


__all__ = ["FOLDER", "build", "encode_all", "face_mask", "measure", "picture_batch", "reconstruction_loss"]

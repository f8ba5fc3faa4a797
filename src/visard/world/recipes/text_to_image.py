"""Trains the micro Stable Diffusion's UNet and text encoder on captioned latents of the base people.

v-prediction, and captions dropped at random for guidance. Half of the timesteps are drawn evenly and half
logit-normally (Esser et al. 2024), around the middle, where the features of a face are decided; all weigh
the same. Min-SNR weights (Hang et al. 2023) all but leave out the noisiest timesteps, where a picture of
16 x 16 latents gets its colours: a model trained with them drew faces and gave hair the colour asked for in a
quarter of the pictures.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from visard.diffusion.backbone import Backbone
from visard.diffusion.folders import write_part
from visard.errors import ModelError
from visard.world.dataset import load
from visard.world.recipes import Job
from visard.world.recipes.autoencoder import FOLDER, encode_all
from visard.world.recipes.card import training_facts, write_card
from visard.world.recipes.training import Batches, Clock, Figures

BATCH = 32
LEARNING_RATE = 8e-4
CAPTION_DROPOUT = 0.1
IDENTIFIERS = ("sks", "zwx", "ohwx", "xyz")
IDENTIFIER_LENGTH = 4.0
"""A trained word's embedding is about 0.33 long."""


def build(name: str, job: Job) -> dict[str, Any]:
    """Train and export the UNet and the text encoder. Needs the autoencoder's folder in `job.out`."""
    folder = job.out / FOLDER
    if not folder.exists():
        raise ModelError(f"{folder} is not there yet.", "Run the recipe 'autoencoder' first.")
    backbone = Backbone.load(folder)
    pictures = load("base", job.data)
    mean, log_variance = encode_all(backbone.vae, pictures, job)
    scale = float(backbone.vae.config.scaling_factor)
    mean, std = mean * scale, (0.5 * log_variance).exp() * scale
    length = backbone.text_encoder.config.max_position_embeddings
    tokens = backbone.tokenizer(
        pictures.captions, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    ).input_ids
    empty = backbone.tokenizer([""], padding="max_length", max_length=length, return_tensors="pt").input_ids
    batches = Batches(len(pictures), BATCH, job.seed)
    schedule, unet, text_encoder = backbone.schedule, backbone.unet, backbone.text_encoder
    for network in (unet, text_encoder):
        network.requires_grad_(True)
    if job.start is not None:
        earlier = Backbone.load(job.start / FOLDER)
        unet.load_state_dict(earlier.unet.state_dict())
        text_encoder.load_state_dict(earlier.text_encoder.state_dict())

    def step(clock: Clock) -> tuple[Tensor, Figures]:
        chosen, generator = batches(clock.step), clock.generator
        z0 = mean[chosen] + std[chosen] * torch.randn(mean[chosen].shape, generator=generator)
        t = draw_timesteps(len(chosen), len(schedule), generator)
        noise = torch.randn(z0.shape, generator=generator)
        drop = torch.rand(len(chosen), 1, generator=generator) < CAPTION_DROPOUT
        ids = torch.where(drop, empty, tokens[chosen])
        z0, t, noise, ids = (x.to(job.device) for x in (z0, t, noise, ids))
        output = unet(
            schedule.add_noise(z0, noise, t), t, encoder_hidden_states=text_encoder(ids)[0]
        ).sample.float()
        return F.mse_loss(output, schedule.target(z0, noise, t)), {}

    trained = job.train(
        name,
        step,
        {"unet": unet, "text_encoder": text_encoder},
        lr=LEARNING_RATE,
        batch=BATCH,
        ema=0.999,
        layout=torch.channels_last if torch.device(job.device).type == "cuda" else torch.contiguous_format,
    )
    set_apart(backbone)
    write_part(folder, "unet", unet, torch.float16)
    write_part(folder, "text_encoder", text_encoder, torch.float16)
    scores = {"validation error": _validate(backbone, job)}
    write_card(
        folder / "unet",
        title="The micro Stable Diffusion's UNet and text encoder",
        purpose="Text-to-image at 128 px for the embedded world, v-prediction.",
        facts=training_facts(
            trained, job, folder / "unet", unet, text_encoder, batch=BATCH, pictures=len(pictures)
        ),
        scores=scores,
        row={},
    )
    return scores


def draw_timesteps(count: int, length: int, generator: torch.Generator) -> Tensor:
    """(count,) timesteps in [0, length): the first half of them evenly drawn, the others logit-normally."""
    share = torch.rand(count, generator=generator)
    share[count // 2 :] = torch.randn(count - count // 2, generator=generator).sigmoid()
    return (share * length).long().clamp(max=length - 1)


@torch.no_grad()
def set_apart(backbone: Backbone) -> None:
    """Make the identifiers' embeddings several times as long as a word's.

    No caption holds an identifier, so its embedding stays as small as it began and is drowned by any prompt
    it stands in: fine-tuning then ties the person to that sentence, and other sentences do not know them. The
    better a model reads its captions, the longer the embedding has to be.
    """
    table = backbone.text_encoder.get_input_embeddings().weight
    for word in IDENTIFIERS:
        token = backbone.tokenizer(word).input_ids[1]
        table[token] *= IDENTIFIER_LENGTH / table[token].norm()


@torch.no_grad()
def _validate(backbone: Backbone, job: Job) -> float:
    """Mean squared error of the prediction on unseen people with their captions, timesteps evenly spread."""
    pictures = load("regressor", job.data)
    count = min(256, len(pictures))
    mean, _ = encode_all(backbone.vae, pictures, job, limit=count)
    z0 = mean * float(backbone.vae.config.scaling_factor)
    noise = torch.randn(z0.shape, generator=torch.Generator().manual_seed(0))
    t = torch.linspace(0, len(backbone.schedule) - 1, count).long()
    errors = []
    for part in torch.split(torch.arange(count), 64):
        text = backbone.embed_text([pictures.captions[i] for i in part])
        zt = backbone.schedule.add_noise(z0[part], noise[part], t[part])
        output = backbone.predict(zt, t[part], text).cpu()
        errors.append(
            ((output - backbone.schedule.target(z0[part], noise[part], t[part])) ** 2).mean((1, 2, 3))
        )
    return float(torch.cat(errors).mean())

"""Class pictures for prior preservation: made once by the base model, kept as posteriors, shared by all."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path

import torch
from filelock import FileLock

from visard.diffusion.backbone import Backbone, Posterior
from visard.diffusion.sampling import generate
from visard.errors import ModelError
from visard.personalization.encoding import encoded
from visard.personalization.settings import PriorSettings
from visard.progress import Progress, silent
from visard.storage import load_tensors, save_tensors, storage_errors, user_folder

log = logging.getLogger(__name__)

STAGE = "class pictures"


def cache_folder() -> Path:
    """Where the user's caches lie: $VISARD_CACHE, or `visard` in the platform's cache folder."""
    own = os.environ.get("VISARD_CACHE")
    return Path(own) if own else user_folder("cache")


def class_posteriors(
    backbone: Backbone,
    prompt: str,
    settings: PriorSettings,
    *,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Posterior:
    """Posteriors (count, C, h, w) of pictures of `prompt` by the untrained `backbone`, made once and cached.

    Posteriors rather than pictures: they depend on the base model alone, and every step draws from them.
    """
    file = (cache or cache_folder()) / "class-pictures" / f"{_key(backbone, prompt, settings)}.safetensors"
    with storage_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file.parent.with_name(f".{file.stem}.lock"))
        taken = lock.acquire()
    with taken:  # of several runs at once, one makes them and the others wait
        if file.exists():
            try:
                tensors, _ = load_tensors(file)
                return Posterior(tensors["mean"].to(backbone.device), tensors["std"].to(backbone.device))
            except (ModelError, KeyError) as error:
                log.warning("The cached class pictures are damaged and are made anew: %s", error)
        posterior = _make(backbone, prompt, settings, progress)
        save_tensors(file, {"mean": posterior.mean, "std": posterior.std}, {"prompt": prompt})
    return posterior


def _make(backbone: Backbone, prompt: str, settings: PriorSettings, progress: Progress) -> Posterior:
    parts = []
    for first in range(
        0, settings.count, settings.batch
    ):  # batch by batch, so that few pictures lie in memory
        pictures = generate(
            backbone,
            prompt,
            min(settings.batch, settings.count - first),
            seed=settings.seed,
            steps=settings.sampler_steps,
            guidance=settings.guidance,
            batch=settings.batch,
            first=first,
        )
        parts.append(encoded(backbone, pictures))
        progress(STAGE, first + len(pictures), settings.count)
    mean, std = (torch.cat([getattr(part, name) for part in parts]) for name in ("mean", "std"))
    # Laid out as they come back from the cache: networks round differently on another layout.
    return Posterior(mean.contiguous(), std.contiguous())


def _key(backbone: Backbone, prompt: str, settings: PriorSettings) -> str:
    """Everything the pictures depend on; the batch size is not among it."""
    parts = [
        backbone.fingerprint(),
        backbone.resolution,
        prompt,
        settings.count,
        settings.sampler_steps,
        settings.guidance,
        settings.seed,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

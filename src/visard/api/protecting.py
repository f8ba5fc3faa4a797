"""Perturb photos so that a model fine-tuned on them fails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from visard.api.kits import opened
from visard.errors import InputError
from visard.images import read_folder, read_image, stacked
from visard.kits import Kit
from visard.progress import Progress, silent
from visard.protection import protect as protection
from visard.protection.methods import METHODS, find_method
from visard.protection.protect import Protected
from visard.protection.settings import ProtectionSettings


def protect(
    photos: str | Path,
    out: str | Path,
    *,
    method: str = "aspl",
    clean: str | Path | None = None,
    target: str | Path | None = None,
    kit: str | Path | Kit = "world",
    base: str | Path | None = None,
    device: str = "auto",
    resume: bool = True,
    progress: Progress = silent,
    **changes: Any,
) -> Protected:
    """Perturb the photos of a folder so that a model fine-tuned on them fails; PNG files go to `out`.

    method: a name in visard.protection.methods.METHODS. clean: other photos of the same person, for a
    surrogate to learn from; without them it learns from `photos`. target: a picture that "targeted-aspl" and
    "mist" steer to. Both are refused by methods that would not look at them. changes: single settings, as in
    `personalize`. A kit's settings are for its own base model: with another `base` they are the paper's.
    What is made against the embedded world's own small model means nothing for models that people use.
    The files are the middle squares of the photos at the base model's side, at 8 bits;
    visard.protection.run.protected_photos gives photos in floating point.
    Raises InputError, ModelError, StorageError, TrainingError; BusyError when another command is at it.
    """
    models = opened(kit, device)
    settings = ProtectionSettings().with_preset(models.protection if base is None else {})
    settings = settings.with_preset({"method": method, **changes})
    _check_used(settings.method, clean=clean, target=target)
    backbone = models.backbone(base)
    pictures, side = read_folder(photos), backbone.resolution
    others = read_folder(clean) if clean is not None else []
    return protection.protect(
        settings,
        stacked([photo.image for photo in pictures], side),
        backbone,
        folder=out,
        clean=stacked([photo.image for photo in others], side) if others else None,
        target=stacked([read_image(target)], side)[0] if target is not None else None,
        captions=[photo.caption for photo in pictures],
        clean_captions=[photo.caption for photo in others] if others else None,
        resume=resume,
        progress=progress,
    )


def _check_used(method: str, *, clean: object, target: object) -> None:
    """Raise InputError for pictures that the method would not look at."""
    kind = find_method(method)
    if clean is not None and not kind.learns_from_clean:
        others = [name for name, each in METHODS.items() if each.learns_from_clean]
        raise InputError(f"{method} learns from no clean photos.", _advice("clean", others))
    if target is not None and not kind.has_target:
        others = [name for name, each in METHODS.items() if each.has_target]
        raise InputError(f"{method} steers to no target.", _advice("target", others))


def _advice(option: str, methods: Sequence[str]) -> str:
    return f"Leave out {option}, or choose one of {', '.join(methods)}."

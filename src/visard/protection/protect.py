"""From photos to protected photos in a folder: resumed where it was stopped, written whole."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from visard.budget import LEVEL, Budget
from visard.diffusion.backbone import Backbone
from visard.errors import InputError
from visard.images import read_image, save_image, to_tensor
from visard.personalization.checkpoint import differences
from visard.personalization.record import digest, key_digest, library_versions, public_name
from visard.personalization.settings import OutputSettings, PromptSettings
from visard.progress import Progress, silent
from visard.protection.folder import ProtectionFolder
from visard.protection.methods import find_method
from visard.protection.run import Run, budget_of, check
from visard.protection.settings import ProtectionSettings
from visard.settings import from_toml, require, to_table, to_toml
from visard.storage import atomic_write, claimed


@dataclass(frozen=True)
class Record:
    """A finished protection; nothing in it tells the user's folders or file names."""

    settings: ProtectionSettings
    """Without prompts that somebody typed, which may name the person."""
    paper: str
    differs: tuple[str, ...]
    """What the released code, and hence this protection, does otherwise than the paper."""
    radius: float
    step: float
    largest_change: float
    """Of any value of any file, in units of pictures, range [-1, 1]: at most the radius."""
    psnr: float
    """Of the files against the photos, in dB; infinite for files that equal them."""
    base_model: dict[str, str]
    versions: dict[str, str]
    key: str
    """Digest of all that a protection is given, to know a finished one by."""
    pictures: int | None = None
    """How many files; older records do not say."""


@dataclass(frozen=True)
class Protected:
    """What a protection has written, and its record."""

    folder: Path
    pictures: list[Path]
    record: Record


def protect(
    settings: ProtectionSettings,
    photos: Tensor,
    backbone: Backbone,
    *,
    folder: str | Path,
    clean: Tensor | None = None,
    target: Tensor | None = None,
    captions: Sequence[str | None] | None = None,
    clean_captions: Sequence[str | None] | None = None,
    cache: Path | None = None,
    resume: bool = True,
    progress: Progress = silent,
) -> Protected:
    """Protect photos (B, 3, R, R), themselves at 8-bit levels, and write them into `folder` as PNG files.

    The files are rounded to 8 bits inside the ball: the radius holds for them too. A protection that was
    stopped goes on from its checkpoint, a finished one is returned as it is; `resume=False` begins anew.
    Raises InputError, ModelError, StorageError, TrainingError; BusyError when another command is at it.
    """
    folder = Path(folder)
    check(settings, photos, backbone, clean=clean, target=target)
    _check_radius(budget_of(settings))
    key = _key(settings, [photos, clean, target], captions, clean_captions, backbone)
    with claimed(folder):
        place = ProtectionFolder(folder, key, len(photos), every=settings.output.checkpoint_every)
        checkpoints, files = place.checkpoints, place.pictures
        place.check()
        if not resume:
            place.clear()
        elif (record := _finished(place, settings, key)) is not None:
            if place.has_own_checkpoint():
                place.remove_checkpoint()
            return Protected(folder, files, record)
        snapshot = checkpoints.load()
        run = Run(
            settings,
            photos,
            backbone,
            clean=clean,
            target=target,
            captions=captions,
            clean_captions=clean_captions,
            cache=cache,
            progress=progress,
        )
        try:
            if snapshot is not None:
                run.restore(snapshot)
            for _ in run:
                if checkpoints.due():
                    checkpoints.save(run.snapshot())
        finally:
            run.close()
        pictures = run.task.budget.in_levels(run.images, run.task.originals).cpu()
        place.begin_writing()
        for file, picture in zip(files, pictures, strict=True):
            save_image(picture, file)
        record = _record(settings, photos.cpu(), files, backbone, key)
        atomic_write(place.record, to_toml(record).encode())
        place.remove_checkpoint()
        return Protected(folder, files, record)


def _key(
    settings: ProtectionSettings,
    tensors: Sequence[Tensor | None],
    captions: Sequence[str | None] | None,
    clean_captions: Sequence[str | None] | None,
    backbone: Backbone,
) -> dict[str, Any]:
    """All that the protected photos depend on, as JSON: settings by value, photos and models by digest."""
    texts = [json.dumps([list(each) if each else None for each in (captions, clean_captions)])]
    return {
        "settings": to_table(replace(settings, output=OutputSettings())),
        "photos": digest([each for each in tensors if each is not None], texts),
        "given": [each is not None for each in tensors],
        "base model": backbone.fingerprint(),
        "device": backbone.device.type,
    }


def _finished(place: ProtectionFolder, settings: ProtectionSettings, key: Mapping[str, Any]) -> Record | None:
    """The record in a folder, if all files are whole. Raises InputError when it is another protection's."""
    if not place.record.exists():
        return None
    record = from_toml(Record, place.record)
    if record.key != key_digest(key):
        before, now = (
            {"settings": to_table(replace(_public(each), output=OutputSettings()))}
            for each in (record.settings, settings)
        )
        changed = differences(before, now)
        what = (
            f"it differs in {', '.join(changed)}"
            if changed
            else "it had other photos or another model, or other prompts or captions"
        )
        raise InputError(
            f"{place.folder} holds protected photos of another kind: {what}.",
            "Choose another folder, or begin anew without resuming to replace them.",
        )
    try:
        for file in place.pictures:
            read_image(file)
    except InputError:  # one is gone or damaged: they are made anew
        return None
    return record


def _public(settings: ProtectionSettings) -> ProtectionSettings:
    """The settings as they may lie beside published photos: without prompts that somebody typed."""
    usual, typed = asdict(PromptSettings()), asdict(settings.prompts)
    said = {name: text if text == usual[name] else f"(the {name} prompt)" for name, text in typed.items()}
    return replace(settings, prompts=PromptSettings(**said))


def _check_radius(budget: Budget) -> None:
    """Raise InputError for a ball that holds no other picture at 8-bit levels."""
    require(
        budget.levels > 0,
        f"radius is {budget.radius}, less than one level of an 8-bit file",
        f"It must be at least {math.ceil(1e4 * LEVEL) / 1e4}, which is one of 255 levels.",
    )


def _record(
    settings: ProtectionSettings,
    photos: Tensor,
    files: Sequence[Path],
    backbone: Backbone,
    key: Mapping[str, Any],
) -> Record:
    """What is said of a protection, measured on its files."""
    method, budget = find_method(settings.method), budget_of(settings)
    changes = [to_tensor(read_image(file)) - photo for file, photo in zip(files, photos, strict=True)]
    error = sum(float(change.square().mean()) for change in changes) / len(changes)
    return Record(
        settings=_public(settings),
        paper=method.paper,
        differs=method.released if settings.fidelity == "released" else (),
        radius=budget.radius,
        step=budget.step,
        largest_change=max(float(change.abs().max()) for change in changes),
        psnr=10 * math.log10(4 / error) if error > 0 else math.inf,
        base_model={"name": public_name(backbone.source), "fingerprint": key["base model"]},
        versions=library_versions(),
        key=key_digest(key),
        pictures=len(files),
    )

"""From photos to a personalised model: checked, trained, resumed where it was stopped, written whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visard.diffusion.backbone import Backbone
from visard.diffusion.lora import kohya_twin, save_lora
from visard.diffusion.sampling import generate
from visard.errors import InputError, ModelError
from visard.faces.detector import Detector
from visard.faces.recognizer import Recognizer
from visard.images import grid, save_image
from visard.personalization.checkpoint import Checkpoints
from visard.personalization.memory_plans import memory_errors
from visard.personalization.offload import Phase
from visard.personalization.photos import prepare
from visard.personalization.record import RECOGNIZERS, RUN_FILE, is_finished, run_key, write_record
from visard.personalization.session import Session
from visard.personalization.settings import PersonalizationSettings
from visard.progress import Progress, silent
from visard.storage import atomic_write, claimed, require_space, size_of, storage_errors

STAGE = "personalization"
CHECKING, ENCODING, CHECKPOINT, WRITING = "checking photos", "encoding photos", "checkpoint", "writing model"
"""What a run tells its progress besides: what came before the first move, what is saved, and the end."""
HISTORY_FILE = "history.json"
MODEL, LORA, PREVIEWS = "model", "lora.safetensors", "previews"
LORAS = (LORA, kohya_twin(Path(LORA)).name)


@dataclass(frozen=True)
class Result:
    """What a run has written."""

    folder: Path
    model: Path
    """A diffusers folder (DreamBooth) or a LoRA file."""
    history: list[dict[str, Any]]
    """Figures of each round: losses, S, similarities, counts of faces."""
    protected: Tensor | None = None
    """X' as the last round left it, (N, 3, R, R); None for a run that was finished before."""


def run(
    settings: PersonalizationSettings,
    photos: Tensor,
    backbone: Backbone,
    surrogates: Sequence[Recognizer],
    detector: Detector,
    *,
    folder: str | Path,
    progress: Progress = silent,
    resume: bool = True,
    captions: Sequence[str | None] | None = None,
    names: Sequence[str] | None = None,
    cache: Path | None = None,
) -> Result:
    """Personalise `backbone`, in place, to the person in `photos` (N, 3, R, R); write it into `folder`.

    A run that was stopped continues from its checkpoint, a finished one is returned as it is; `resume=False`
    begins anew. `names` of photos appear in error messages alone; a caption replaces the instance prompt.
    Raises InputError, StorageError, TrainingError, ModelError; BusyError when another run is at work there.
    """
    folder = Path(folder)
    if settings.needs_identity and not surrogates:
        raise InputError(
            "The identity loss needs at least one surrogate recogniser.",
            'Use a kit that has some, or set defence = "none".',
        )
    recognizers = list(surrogates) if settings.needs_identity else []
    prepared = prepare(
        photos.to(backbone.device, torch.float32),
        detector,
        resolution=backbone.resolution,
        prompt=settings.prompts.instance,
        captions=captions,
        names=names,
    )
    key = run_key(settings, prepared, backbone, recognizers, detector)
    with claimed(folder):
        checkpoints = Checkpoints(folder / "checkpoint", key, every=settings.output.checkpoint_every)
        own = _check_own(folder, checkpoints)
        if resume and is_finished(folder, key) and _model_path(settings, folder).exists():
            checkpoints.delete()
            return Result(folder, _model_path(settings, folder), _history(folder))
        progress(CHECKING, len(photos), len(photos))
        snapshot = checkpoints.load() if resume else None
        with memory_errors(settings):
            session = Session(
                settings, prepared, backbone, recognizers, detector, cache=cache, progress=progress
            )
            if snapshot is not None:
                session.restore(snapshot)
            else:  # an earlier run goes once this one is known to begin
                old = [checkpoints.folder, *_results(folder)] if own and not resume else []
                require_space(folder, session.bytes_needed() - sum(map(size_of, old)))
            if not resume:
                checkpoints.delete()
                if own:
                    _remove_results(folder)
            progress(ENCODING, len(photos), len(photos))
            with closing(session):
                _make_moves(session, checkpoints, folder, progress)
                if checkpoints.newest_key() is None:  # by it what is written next is known as this run's
                    checkpoints.save(session.snapshot())
        model = _write_model(settings, backbone, folder)
        history = session.history.table()
        atomic_write(folder / HISTORY_FILE, json.dumps(history, indent=1).encode())
        progress(WRITING, 1, 1)  # whoever stops here has the checkpoint
        write_record(folder, settings, prepared, backbone, key)
        checkpoints.delete()  # it holds the photos
        return Result(folder, model, history, session.iddm.images.cpu())


def _check_own(folder: Path, checkpoints: Checkpoints) -> bool:
    """Whether a run is in the folder; nothing else may be where a run writes. Raises InputError."""
    try:
        key = checkpoints.newest_key()
    except ModelError:  # a damaged snapshot is one
        key = checkpoints.run_key
    if key is not None and RECOGNIZERS not in key:
        raise InputError(
            f"{checkpoints.folder} is no personalisation's.", "Choose another folder for this run."
        )
    own = key is not None or (folder / RUN_FILE).exists()
    results = (MODEL, *LORAS, HISTORY_FILE)  # previews come before the first checkpoint
    if not own and (taken := [name for name in results if (folder / name).exists()]):
        raise InputError(
            f"{folder} holds {taken[0]}, and no run that has written it.", "Choose another folder."
        )
    return own


def _results(folder: Path) -> list[Path]:
    """What a run writes into its folder, beside checkpoints; the record that it is finished first."""
    return [folder / name for name in (RUN_FILE, HISTORY_FILE, *LORAS, MODEL, PREVIEWS)]


def _remove_results(folder: Path) -> None:
    """What an earlier run has left: nothing of it may stand beside the new one."""
    with storage_errors(folder):
        for each in _results(folder):
            if each.is_dir():
                shutil.rmtree(each, ignore_errors=True)
            else:
                each.unlink(missing_ok=True)


def _history(folder: Path) -> list[dict[str, Any]]:
    """Of a finished run; nothing where somebody has removed it."""
    file = folder / HISTORY_FILE
    found: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    return found


def _make_moves(session: Session, checkpoints: Checkpoints, folder: Path, progress: Progress) -> None:
    """Every move that is left; what is needed to continue is saved on the way."""
    moves = len(session.iddm.moves)
    for move, seen in session.iddm:
        figures = session.history.add(move, seen)
        progress(STAGE, session.iddm.done, moves, round=move.round, **figures)
        if move.closes_round:
            _preview(session, folder, move.round)
        if checkpoints.due(boundary=move.closes_round):
            checkpoints.save(session.snapshot())
            progress(CHECKPOINT, session.iddm.done, moves)


def _write_model(settings: PersonalizationSettings, backbone: Backbone, folder: Path) -> Path:
    """The personalised weights: a diffusers folder, or a LoRA file beside its kohya twin."""
    model = _model_path(settings, folder)
    if settings.method == "lora":
        save_lora(backbone, model, trigger=settings.prompts.instance)
    else:
        backbone.save(model)
    return model


def _model_path(settings: PersonalizationSettings, folder: Path) -> Path:
    return folder / (LORA if settings.method == "lora" else MODEL)


def _preview(session: Session, folder: Path, done: int) -> None:
    """Sample pictures after round `done`, from a seed of their own."""
    previews = session.settings.previews
    if previews.count == 0 or done % previews.every:
        return
    session.enter(Phase.SAMPLING)
    pictures = generate(
        session.backbone,
        previews.prompt or session.settings.prompts.instance,
        previews.count,
        seed=previews.seed,
        steps=previews.sampler_steps,
        guidance=previews.guidance,
        batch=session.settings.prior.batch,
    )
    save_image(grid(list(pictures), columns=4), folder / PREVIEWS / f"round-{done:02d}.png")

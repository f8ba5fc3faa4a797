"""Measure whether pictures can be linked to a person, and show it on a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from visard.api.kits import opened
from visard.audit import AuditResult, AuditSettings, Person, Strangers, audit_people, render_report
from visard.audit.inputs import ModelId
from visard.errors import InputError
from visard.images import has_pictures, read_folder, stacked
from visard.kits import Kit
from visard.personalization.record import RUN_FILE, Record, digest
from visard.progress import Progress, silent
from visard.settings import from_toml
from visard.storage import atomic_write
from visard.targets import require_writable

ALONE = "pictures"
"""What an arm is called that is compared with none."""


def audit(
    pictures: str | Path,
    reference: str | Path,
    *,
    gallery: str | Path | None = None,
    run: str | Path | None = None,
    training_photos: str | Path | None = None,
    kit: str | Path | Kit = "world",
    report: str | Path | None = None,
    show: bool = True,
    settings: AuditSettings | None = None,
    device: str = "auto",
    progress: Progress = silent,
    tell: Callable[[AuditResult], None] = lambda found: None,
) -> AuditResult:
    """Measure whether a kit's judges link the folder `pictures` to the person in the folder `reference`.

    Folders inside `pictures` are arms to compare, `none` being the undefended one, and folders inside those
    are prompts. gallery: a folder of photos for each stranger; the kit "world" brings its own. run: the run
    folder of the model that drew them, which says what it was trained against. report: an HTML file, with
    photos and pictures if `show`; `tell` hears the result before it is written, in case it cannot be.
    Raises InputError, ModelError, StorageError.
    """
    require_writable(report)
    models = opened(kit, device)
    surrogates = [] if run is None else trained_against(Path(run), models)
    arms = _arms(Path(pictures))
    side = next(iter(arms.values())).shape[-1]
    training = _photos(Path(training_photos), side) if training_photos is not None else None
    person = Person(_photos(Path(reference), side), arms, training)
    found = audit_people(
        [person],
        _strangers(gallery or models.gallery, side),
        models.instruments(),
        surrogates=surrogates,
        settings=settings,
        progress=progress,
    )
    tell(found)
    if report is not None:
        write_report(report, found, models, [person] if show else ())
    return found


def write_report(
    file: str | Path,
    found: AuditResult,
    kit: Kit,
    people: Sequence[Person] = (),
    *,
    title: str = "Linkability audit",
) -> None:
    """Write an audit through `kit` as one HTML page; without `people` it holds figures alone.

    Raises StorageError.
    """
    licences = {f"{each.model} ({each.role})": each.weights for each in kit.licences()}
    atomic_write(file, render_report(found, people, title=title, licences=licences).encode())


def trained_against(run: Path, kit: Kit) -> list[ModelId]:
    """The recognisers of a run, by the names of `kit` where it holds the same weights. Raises InputError."""
    file = run / RUN_FILE
    if not file.is_file():
        raise InputError(f"{run} is no finished run.", f"Give the folder that holds {RUN_FILE}.")
    known = {
        digest(each.state_dict().values()): ModelId(each.name, each.family, sha256)
        for each, sha256 in kit.digested_recognizers()
    }
    recognizers = from_toml(Record, file).recognizers
    return [known.get(weights, ModelId(name)) for name, weights in recognizers.items()]


def _arms(folder: Path) -> dict[str, Tensor]:
    """The folders under `folder` that hold pictures, by path; or those in `folder` itself, by no name of it.

    One folder's name is often a person's, and a report goes to others.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", "Give the folder that holds the pictures.")
    inside = sorted(path for path in folder.rglob("*") if path.is_dir() and has_pictures(path))
    if has_pictures(folder) or not inside:
        return {ALONE: _photos(folder)}
    arms = {path.relative_to(folder).as_posix(): _photos(path) for path in inside}
    if len({pictures.shape[1:] for pictures in arms.values()}) > 1:
        raise InputError(f"The folders in {folder} hold pictures of several sizes.", "Audit them one by one.")
    return arms


def _photos(folder: Path, side: int | None = None) -> Tensor:
    return stacked([photo.image for photo in read_folder(folder)], side)


def _strangers(gallery: str | Path | None, side: int) -> Strangers:
    if gallery is None:
        raise InputError(
            "An audit needs strangers to tell the person from.",
            "Give their photos with --gallery, a folder each.",
        )
    folder = Path(gallery)
    people = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not people:
        raise InputError(
            f"{gallery} holds no folders of photos.", "Give a folder with one folder a stranger."
        )
    photos = [_photos(person, side) for person in people]
    return Strangers(
        torch.cat(photos), [index for index, rows in enumerate(photos) for _ in range(len(rows))]
    )

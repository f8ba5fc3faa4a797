"""What `visard models add` and `visard models check` find out about models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from visard.errors import InputError, ModelError
from visard.faces.detector import Detector
from visard.faces.recognizer import Recognizer
from visard.progress import Progress, silent
from visard.storage import sha256
from visard.zoo.folder import added, file_of, load, place
from visard.zoo.people import People, read_people
from visard.zoo.records import disagreement, record, records, similarities
from visard.zoo.separation import Separation, separation
from visard.zoo.table import Entry, entries, find

AGREES, UNKNOWN, KEPT = "as recorded", "not recorded yet", "recorded now"


@dataclass(frozen=True)
class Models:
    """What is to be looked at: detectors, and recognisers with the digests of their files."""

    detectors: list[Detector]
    recognizers: list[tuple[Recognizer, str]]


@dataclass(frozen=True)
class Finding:
    """What was found of one model. wrong: why it may not be used as it is declared, or nothing."""

    name: str
    role: str
    recorded: str = ""
    wrong: str = ""
    separation: Separation | None = None
    detected: str = ""

    @property
    def warning(self) -> str:
        return self.separation.warning if self.separation is not None else ""


@dataclass(frozen=True)
class Taken:
    """What came of adding a file: its digest, and what is worth knowing about it."""

    sha256: str
    warnings: tuple[str, ...]


def take_in(entry: Entry, file: Path, *, link: bool = False) -> Taken:
    """Load a published file strictly, check it against its record, and put it into the models folder.

    Raises InputError, ModelError when it is not that model, StorageError.
    """
    if not file.is_file():
        raise InputError(f"There is no file {file}.", "Check the path.")
    model = load(entry, file)
    digest = sha256(file)
    warnings = []
    if entry.sha256 and digest not in entry.sha256:
        warnings.append(f"{file.name} is none of the files whose SHA-256 is known for {entry.name}.")
    if isinstance(model, Recognizer):
        finding = _look(model, digest)
        if finding.wrong:
            raise ModelError(
                f"{file} is not read as it was trained: {finding.wrong}.", f"Is it really {entry.name}?"
            )
        if finding.recorded == UNKNOWN:
            proof = f"visard models check {entry.name} --photos PEOPLE"
            warnings.append(f"Its similarities are not recorded yet. To prove its input: {proof}")
    place(entry, file, digest, link=link)
    return Taken(digest, tuple(warnings))


def published(name: str = "") -> Models:
    """The published model of that name, or all that are here. Raises InputError, ModelError."""
    named = [find(name)] if name else [entry for entry in entries().values() if added(entry.name)]
    if not named:
        raise InputError("No published model is here yet.", "visard models add FILE --as NAME takes one in.")
    models = Models([], [])
    for entry in named:
        model, digest = _load_added(entry)
        if isinstance(model, Recognizer):
            models.recognizers.append((model, digest))
        else:
            models.detectors.append(model)
    return models


def examine(
    models: Models,
    photos: Path | None = None,
    *,
    other_detector: Callable[[], Detector],
    keep: bool = False,
    progress: Progress = silent,
) -> list[Finding]:
    """Look at every model; with a folder of known people also at how it tells them apart.

    other_detector: finds their faces where none is to be looked at and no published one is here.
    keep: record the similarities of recognisers that are not recorded yet. Raises InputError.
    """
    findings = []
    people = None
    if photos is not None:
        detectors = models.detectors or _detectors_here() or [other_detector()]
        crowds = [read_people(photos, detector, progress) for detector in detectors]
        people = crowds[0]
        findings += [
            Finding(detector.name, "detector", detected=crowd.detected)
            for detector, crowd in zip(detectors, crowds, strict=True)
        ]
    else:
        findings += [Finding(detector.name, "detector") for detector in models.detectors]
    for done, (model, digest) in enumerate(models.recognizers):
        findings.append(_look(model, digest, keep=keep, people=people))
        progress("checking recognisers", done + 1, len(models.recognizers))
    return findings


def _look(model: Recognizer, digest: str, *, keep: bool = False, people: People | None = None) -> Finding:
    found = similarities(model)
    if not bool(found.isfinite().all()):
        return Finding(model.name, "recogniser", wrong="its embeddings are not numbers")
    known = records().get(digest)
    wrong = disagreement(model, found, known) if known is not None else ""
    if known is None and keep:
        record(model.name, digest, found)
    recorded = wrong or (AGREES if known is not None else KEPT if keep else UNKNOWN)
    apart = separation(model, people) if people is not None else None
    return Finding(model.name, "recogniser", recorded, wrong, apart)


def _detectors_here() -> list[Detector]:
    here = (entry for entry in entries().values() if entry.kind == "detector" and added(entry.name))
    loaded = [_load_added(entry)[0] for entry in here][:1]
    return [model for model in loaded if not isinstance(model, Recognizer)]


def _load_added(entry: Entry) -> tuple[Recognizer | Detector, str]:
    present = added(entry.name)
    adding = f"visard models add FILE --as {entry.name}"
    if present is None:
        raise InputError(f"{entry.name} is not here.", f"Get it from {entry.source}, then: {adding}")
    file = file_of(entry)
    if not file.is_file() or sha256(file) != present.sha256:
        raise ModelError(f"{file} is missing, or another file than was added.", adding)
    return load(entry, file), present.sha256

"""The folder of published models on this machine: a folder each, files as published, and their digest."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from visard.errors import ModelError
from visard.faces.recognizer import Recognizer, RecognizerRow
from visard.faces.scrfd import Scrfd
from visard.settings import from_toml, to_toml
from visard.storage import atomic_folder, require_space, user_folder
from visard.zoo.table import Entry

NOTE = "added.toml"


@dataclass(frozen=True)
class Added:
    """What was added under a name: the file that is loaded and its SHA-256."""

    file: str
    sha256: str


def models_folder() -> Path:
    """Where published models lie: $VISARD_MODELS, or `visard/models` in the platform's data folder."""
    own = os.environ.get("VISARD_MODELS")
    return Path(own) if own else user_folder("data") / "models"


def added(name: str) -> Added | None:
    """What lies in the folder under that name, if anything does."""
    note = models_folder() / name / NOTE
    return from_toml(Added, note) if note.is_file() else None


def file_of(entry: Entry) -> Path:
    """Where the model's file lies, or would lie once added."""
    present = added(entry.name)
    return models_folder() / entry.name / (present.file if present else entry.files[0])


def place(entry: Entry, file: Path, digest: str, *, link: bool = False) -> None:
    """Copy (or link) a file that has been loaded, and what belongs to it, into the folder.

    Raises ModelError, StorageError.
    """
    files = [file, *_companions(entry, file)]
    if not link:
        require_space(models_folder(), sum(each.stat().st_size for each in files))
    with atomic_folder(models_folder() / entry.name) as folder:
        for each in files:
            if link:
                (folder / each.name).symlink_to(each.resolve())
            else:
                shutil.copyfile(each, folder / each.name)
        (folder / NOTE).write_text(to_toml(Added(file.name, digest)), encoding="utf-8")


def load(entry: Entry, file: Path) -> Recognizer | Scrfd:
    """The model whose weights are `file`. Raises ModelError, InputError."""
    row = entry.row(file)
    return Recognizer.load(row) if isinstance(row, RecognizerRow) else Scrfd.load(row)


def _companions(entry: Entry, file: Path) -> list[Path]:
    """Files that belong to the loaded one and share its stem."""
    found = [file.with_suffix(suffix) for suffix in entry.companions]
    missing = [each for each in found if not each.is_file()]
    if missing:
        raise ModelError(f"{missing[0]} is missing beside {file.name}.", "Put both in one folder.")
    return found

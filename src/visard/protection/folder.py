"""The folder of a protection: what in it is the protection's, and what is somebody else's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visard.errors import InputError, ModelError
from visard.images import has_pictures
from visard.personalization.checkpoint import Checkpoints
from visard.settings import read_toml
from visard.storage import atomic_write, storage_errors

RECORD_FILE = "protect.toml"
CHECKPOINT, COUNT = "checkpoint", "pictures"
"""The folder of the checkpoint, and the file in it that says how many pictures are being written."""


class ProtectionFolder:
    """Pictures from 0000.png on, their record, and until that is written a checkpoint of what `key` names."""

    def __init__(self, folder: Path, key: Mapping[str, Any], count: int, *, every: float) -> None:
        self.folder, self.key = folder, key
        self.record = folder / RECORD_FILE
        self.checkpoints = Checkpoints(folder / CHECKPOINT, key, every=every)
        self.pictures = self._pictures(count)

    def check(self) -> None:
        """Raise InputError where pictures would be written among somebody's photos."""
        written = self._written()
        taken = any(file.exists() for file in self.pictures[written:])
        if taken if written is not None else has_pictures(self.folder):
            raise InputError(
                f"{self.folder} holds other pictures.", "Choose a new folder for the protected photos."
            )

    def clear(self) -> None:
        """Remove what a protection has left, and nothing else. Raises InputError, StorageError."""
        if not self.has_own_checkpoint():
            raise InputError(
                f"{self.checkpoints.folder} is not known to be a protection's.",
                "Choose another folder for the protected photos, or remove it yourself.",
            )
        with storage_errors(self.folder):
            for file in (*self._pictures(self._written() or 0), self.record):
                file.unlink(missing_ok=True)
        self.remove_checkpoint()

    def has_own_checkpoint(self) -> bool:
        """Whether the checkpoint, if there is one, is a protection's: of this one or of another."""
        try:
            key = self.checkpoints.newest_key()
        except ModelError:
            return self._written() is not None
        return key is None or key.keys() == self.key.keys()

    def remove_checkpoint(self) -> None:
        """Remove what a protection needs to go on: it holds the photos. Raises StorageError."""
        with storage_errors(self.folder):
            (self.checkpoints.folder / COUNT).unlink(missing_ok=True)
        self.checkpoints.delete()

    def begin_writing(self) -> None:
        """From here on the pictures are known to be a protection's. Raises StorageError."""
        with storage_errors(self.folder):
            self.checkpoints.folder.mkdir(mode=0o700, exist_ok=True)
        atomic_write(self.checkpoints.folder / COUNT, str(len(self.pictures)).encode())

    def _written(self) -> int | None:
        """How many pictures a protection has written here, or has begun to; None: there was no protection."""
        if self.record.exists():
            return int(read_toml(self.record).get("pictures", len(self.pictures)))
        count = self.checkpoints.folder / COUNT
        return int(count.read_text()) if count.exists() else None

    def _pictures(self, count: int) -> list[Path]:
        return [self.folder / f"{index:04d}.png" for index in range(count)]

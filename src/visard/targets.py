"""Files that long work writes in the end: looked at before it begins, so that it is not done for nothing."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from visard.storage import storage_errors


def require_writable(*files: str | Path | None) -> None:
    """Raise StorageError for the first file that could not be written; None is no file."""
    for file in [Path(each) for each in files if each is not None]:
        with storage_errors(file):
            if file.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=file.parent):
                pass

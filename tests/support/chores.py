"""Work for worker processes, importable by them: a chore says what is to become of it."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

from visard.errors import InputError, StorageError


def begin(out: Path) -> partial[None]:
    """What does one chore: writes its name, or goes wrong as its name says."""
    return partial(chore, out)


def refuse(out: Path) -> partial[None]:
    """A start that cannot be made."""
    raise InputError("no kit", "bring one")


def chore(out: Path, name: str) -> None:
    (out / name).write_text(str(os.getpid()))
    if name.startswith("refused"):
        raise InputError("not this one", "try another")
    if name.startswith("bug"):
        raise KeyError(name)
    if name.startswith("full"):
        raise StorageError("The disk is full.")
    if name.startswith("dies"):
        os._exit(9)
    if name.startswith("endless"):
        time.sleep(600)

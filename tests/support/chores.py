"""Work for worker processes, importable by them: a chore says what is to become of it."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from visard.errors import InputError, StorageError
from visard.storage import atomic_folder


def begin(out: Path) -> partial[None]:
    """What does one chore: writes its name, or goes wrong as its name says."""
    return partial(chore, out)


def begin_at(out: Path, place: str) -> Callable[[str], None]:
    """As `begin`, and says at which place each chore was done."""

    def work(name: str) -> None:
        with (out / "places.txt").open("a") as file:
            file.write(f"{place} {os.getpid()} {name}\n")
        chore(out, name)

    return work


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
    if name.startswith("raw full"):
        raise OSError(errno.ENOSPC, "No space left on device", name)
    if name.startswith("memory"):
        raise MemoryError
    if name.startswith("dies"):
        os._exit(9)
    if name.startswith("endless"):
        time.sleep(600)
    if name.startswith("reluctant"):
        try:
            time.sleep(600)
        finally:
            (out / name).write_text(str(time.time()))
            time.sleep(2)
    if name.startswith("half"):
        with atomic_folder(out / "never") as fresh:
            (fresh / "begun").touch()
            time.sleep(600)

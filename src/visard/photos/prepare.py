"""The pictures of a selection written down, ready for training: pixels and captions, nothing else."""

from __future__ import annotations

from pathlib import Path

from visard.errors import InputError
from visard.images import save_image
from visard.photos.selection import Selection
from visard.storage import atomic_folder, atomic_write
from visard.targets import require_writable


def require_new(out: str | Path) -> None:
    """Raise InputError where `out` holds anything, StorageError where no folder can be put there."""
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is not empty.", "Choose a new folder, so that nothing is lost.")
    require_writable(out.parent / ".part")  # it is filled beside its place, then renamed


def prepare(selection: Selection, out: str | Path) -> list[Path]:
    """Write the cut pictures as PNG, numbered, with a `.txt` beside each that had a caption; returns them.

    Raises InputError when the selection cannot be trained with or `out` holds anything, StorageError.
    """
    selection.require()
    require_new(out)
    out = Path(out)
    names = []
    with atomic_folder(out) as fresh:
        for index, shot in enumerate(selection.used):
            if shot.picture is None:
                raise ValueError(f"photo {shot.number} is used and was never cut")
            names.append(f"{index:03d}.png")
            save_image(shot.picture, fresh / names[-1])
            if shot.caption:
                atomic_write(fresh / f"{index:03d}.txt", f"{shot.caption}\n".encode())
    return [out / name for name in names]

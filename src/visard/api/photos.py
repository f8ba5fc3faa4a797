"""Which photos of a folder are used, and how."""

from __future__ import annotations

from pathlib import Path

from visard.api.kits import opened
from visard.diffusion.resolution import resolution_of
from visard.kits import Kit
from visard.photos.select import Selector
from visard.photos.selection import Selection
from visard.progress import Progress, silent


def select_photos(
    folder: str | Path,
    *,
    person: int | None = None,
    size: int | None = None,
    kit: str | Path | Kit = "world",
    base: str | Path | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> Selection:
    """Which photos of `folder` a personalisation would use, how they are cut, and why others are left out.

    person: a number of an earlier selection's people. size: pixels of the cut squares, by default the base
    model's own. Nothing is written. Raises InputError, ModelError.
    """
    models = opened(kit, device)
    return selector(models, size or _side(models, base)).select(folder, person, progress)


def selector(kit: Kit, size: int) -> Selector:
    """What chooses photos and cuts them to `size` pixels with a kit's models."""
    return Selector(kit.detector(), kit.surrogates(), size=size, regressors=list(kit.regressors().values()))


def _side(kit: Kit, base: str | Path | None) -> int:
    """Pixels of the base model's pictures, without loading it."""
    return resolution_of(kit.base_model if base is None else base)

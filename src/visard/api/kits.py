"""The kit that a caller names, or has opened."""

from __future__ import annotations

from pathlib import Path

from visard.kits import Kit, open_kit
from visard.models import choose_device


def opened(kit: str | Path | Kit, device: str) -> Kit:
    """`kit` on a device ("auto" for the best there is), or as it is. Raises InputError, ModelError."""
    return kit if isinstance(kit, Kit) else open_kit(kit, choose_device(device))

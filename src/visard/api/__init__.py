"""The project from Python: what the commands do, as functions. Import them from `visard.api`."""

from visard.api.attacking import attack
from visard.api.auditing import audit, write_report
from visard.api.generating import generate
from visard.api.personalizing import personalize
from visard.api.photos import select_photos
from visard.api.protecting import protect
from visard.inspection import inspect
from visard.kits import open_kit
from visard.models import load_model
from visard.photos.prepare import prepare as prepare_photos

__all__ = [
    "attack",
    "audit",
    "generate",
    "inspect",
    "load_model",
    "open_kit",
    "personalize",
    "prepare_photos",
    "protect",
    "select_photos",
    "write_report",
]

"""What a run is, for its checkpoints to be recognised by, and what `run.toml` says of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import visard
from visard.diffusion.backbone import Backbone
from visard.errors import InputError
from visard.faces.detector import Detector
from visard.faces.recognizer import Recognizer
from visard.personalization.checkpoint import differences
from visard.personalization.memory_plans import without_memory
from visard.personalization.photos import Photos
from visard.personalization.settings import OutputSettings, PersonalizationSettings, PreviewSettings
from visard.settings import from_toml, to_toml
from visard.storage import atomic_write, sha256

LIBRARIES = ("torch", "diffusers", "transformers", "peft", "safetensors")
RECOGNIZERS = "recognisers"
"""In a run's key, and in no other's."""
RUN_FILE = "run.toml"


@dataclass(frozen=True)
class Record:
    """A finished run: its settings reproduce it; nothing in it tells the user's folders or file names."""

    settings: PersonalizationSettings
    base_model: dict[str, str]
    """Public name, revision and fingerprint of the weights."""
    recognizers: dict[str, str]
    """Digests of the surrogates' weights."""
    detector: str
    photos: dict[str, int]
    """How many photos were in X_c and X_0."""
    versions: dict[str, str]
    run: str
    """Digest of all a run is given, to know a finished one by."""
    base_weights: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the weight files of the base model, by their place in it."""


def run_key(
    settings: PersonalizationSettings,
    photos: Photos,
    backbone: Backbone,
    recognizers: Sequence[Recognizer],
    detector: Detector,
) -> dict[str, Any]:
    """All that the weights of a run depend on, as JSON: settings by value, photos and models by digest.

    Settings that save memory are left out where the result is the same, if only up to rounding. So are the
    landmarks, of which another number of threads changes the last bit: what finds them stands there.
    """
    prompts = photos.reference_prompts + photos.prompts
    return {
        "settings": _effective(settings),
        "photos": digest([photos.reference, photos.originals], ["/".join(prompts)]),
        "base model": backbone.fingerprint(),
        RECOGNIZERS: {each.name: digest(each.state_dict().values()) for each in recognizers},
        "readings": {each.name: _reading(each) for each in recognizers},
        "detector": f"{detector.name}: {detector.setting}",
        "detector's weights": detector.weights,
        "device": backbone.device.type,
    }


def _reading(recognizer: Recognizer) -> dict[str, Any]:
    """How a recogniser is shown a face: another reading of the same weights is another recogniser."""
    return {"input": asdict(recognizer.spec), "target": digest([recognizer.target])}


def write_record(
    folder: Path,
    settings: PersonalizationSettings,
    photos: Photos,
    backbone: Backbone,
    key: Mapping[str, Any],
) -> None:
    """Write `run.toml`, the last file of a run. Raises StorageError."""
    decoupling = replace(settings.decoupling, decoder=public_name(settings.decoupling.decoder))
    record = Record(
        settings=replace(settings, decoupling=decoupling),
        base_model={
            "name": public_name(backbone.source),
            "revision": backbone.revision or "",
            "fingerprint": key["base model"],
        },
        recognizers=dict(key[RECOGNIZERS]),
        detector=key["detector"],
        photos={"reference": len(photos.reference), "protected": len(photos.originals)},
        versions=library_versions(),
        run=key_digest(key),
        base_weights={name: sha256(file) for name, file in backbone.files.items() if file.is_file()},
    )
    atomic_write(folder / RUN_FILE, to_toml(record).encode())


def is_finished(folder: Path, key: Mapping[str, Any]) -> bool:
    """Whether `folder` holds this run, finished. Raises InputError when it holds another one."""
    file = folder / RUN_FILE
    if not file.exists():
        return False
    record = from_toml(Record, file)
    if record.run == key_digest(key):
        return True
    changed = differences({"settings": _effective(record.settings)}, {"settings": key["settings"]})
    where = (
        f"it differs in {', '.join(changed)}"
        if changed
        else "it had other photos or models, or is of another version"
    )
    raise InputError(
        f"{folder} holds a finished run of another kind: {where}.",
        "Choose another folder, or begin anew without resuming to replace it.",
    )


def digest(tensors: Iterable[Tensor], texts: Sequence[str] = ()) -> str:
    """A hash of the bytes of tensors and of texts."""
    total = hashlib.sha256(json.dumps(list(texts)).encode())
    for tensor in tensors:
        total.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()[:16]


def key_digest(key: Mapping[str, Any]) -> str:
    """The SHA-256 of a key in hexadecimal: of nested JSON, in whichever order its names stand."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def library_versions() -> dict[str, str]:
    """Versions of visard and of the libraries that compute its results."""
    return {"visard": visard.__version__} | {name: version(name) for name in LIBRARIES}


def public_name(source: str) -> str:
    """A hub id or alias as it is; of a path on this machine, only the last part."""
    path = Path(source).expanduser()
    return path.name if path.is_absolute() or path.exists() else source


def _effective(settings: PersonalizationSettings) -> dict[str, Any]:
    plain = without_memory(settings)
    return asdict(replace(plain, previews=PreviewSettings(), output=OutputSettings()))

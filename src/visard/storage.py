"""Files that are whole or not there at all: atomic writes, atomic folders, tensors with a JSON header."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock, Timeout

from visard.errors import (
    BusyError,
    DiskFullError,
    ModelError,
    StorageError,
    TrainingError,
    VisardError,
    is_out_of_memory,
)

if TYPE_CHECKING:
    from torch import Tensor

HEADER_KEY = "visard"
LOCK = ".lock"
"""File in a folder that a command is at work in; of a killed one it may stay, and is nobody's."""
PART, ASIDE = "part", "old"
"""What the hidden name of something half written ends in, and of a folder that a new one is replacing."""
STALE = 24 * 3600.0
"""Seconds after which something half written is nobody's any more."""
FULL = {errno.ENOSPC, errno.EDQUOT}
AGAIN = "Free some space, then start the same command again."
PLACES = {
    "data": ("Application Support", "XDG_DATA_HOME", ".local/share"),
    "cache": ("Caches", "XDG_CACHE_HOME", ".cache"),
}
"""Where programs keep things: in a Mac's Library, or in the folder of a variable, or at home."""


@contextmanager
def storage_errors(path: str | Path) -> Iterator[None]:
    """Turn the operating system's refusal to write `path` into a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path) from error
    except Exception as error:
        if (hidden := _hidden(error)) is None:
            raise
        raise storage_error(hidden, path) from error


def storage_error(error: OSError, path: str | Path) -> StorageError:
    """The StorageError that tells what `error` means for `path`."""
    if error.errno in FULL:
        return DiskFullError(f"The disk is full: {path} could not be written.", AGAIN)
    return StorageError(
        f"{path} could not be written: {error.strerror or error}.",
        "Check that the folder exists, that it may be written, and that its disk is connected.",
    )


def known_error(error: BaseException) -> VisardError | None:
    """`error` as one that a person can act on: a full disk, a full memory; None for a bug."""
    if isinstance(error, VisardError):
        return error
    error = _hidden(error) or error
    if isinstance(error, OSError) and error.errno in FULL:
        return storage_error(error, error.filename or "A file")
    # torch has a class of its own for a full disk, too slow to import for a check.
    if isinstance(error, RuntimeError) and "No space left on device" in str(error):
        return DiskFullError("The disk is full.", AGAIN)
    if is_out_of_memory(error):
        return TrainingError(
            "The memory of this machine or its GPU is full.",
            "Close other programs that use it, work on fewer pictures at a time, or use --device cpu.",
        )
    return None


def atomic_write(path: str | Path, data: bytes) -> None:
    """Write `data` so that a reader, or a crash, sees the old file or the new one. Raises StorageError."""
    with _replacing(Path(path)) as temporary, temporary.open("xb") as file:
        file.write(data)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty folder to fill; it becomes `path` on success and vanishes on failure."""
    path = Path(path)
    _remove_leftovers(path)
    temporary = _neighbour(path)
    with storage_errors(path):
        temporary.mkdir(parents=True)
    try:
        with storage_errors(path):
            yield temporary
            for file in sorted(temporary.rglob("*")):
                _sync(file)
            _swap(temporary, path)
            _sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def claimed(folder: str | Path) -> Iterator[None]:
    """Keep `folder` to this process while it works there.

    Raises BusyError when another process has it, StorageError.
    """
    file = Path(folder) / LOCK
    with storage_errors(folder):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock = FileLock(file, timeout=0)
            lock.acquire()
        except Timeout as error:
            raise BusyError(
                f"Another visard command is at work in {folder}.",
                "Wait for it, stop it, or choose another folder.",
            ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows keeps files that are open
            file.unlink(missing_ok=True)
        lock.release()


def user_folder(kind: Literal["data", "cache"]) -> Path:
    """Where the platform has programs keep a user's data, or what they could make again, of visard."""
    library, variable, at_home = PLACES[kind]
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / library
    else:
        base = os.environ.get(variable, Path.home() / at_home)
    return Path(base) / "visard"


def require_space(path: str | Path, bytes_needed: int) -> None:
    """Raise StorageError, before any work is lost, when the disk of `path` has less space than needed."""
    folder = Path(path).absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < bytes_needed:
        raise StorageError(
            f"{path} needs {_size(bytes_needed)} and its disk has {_size(free)} left.",
            "Free some space or choose a folder on another disk.",
        )


def size_of(path: Path) -> int:
    """Bytes of a file or of all files in a folder, 0 for what is not there."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def save_tensors(path: str | Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write `tensors` as safetensors with `meta` as JSON in the header, atomically. Raises StorageError."""
    from safetensors.torch import save_file

    _remove_leftovers(Path(path))
    with _replacing(Path(path)) as temporary:
        save_file(_apart(tensors), temporary, _header(meta))


def tensor_bytes(tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> bytes:
    """What `save_tensors` would write: the same for the same tensors."""
    from safetensors.torch import save

    return save(_apart(tensors), _header(meta))


def load_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote; a foreign file's header is returned as it is. Raises ModelError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            # Copies: a view would change with the file, and its alignment changes the last bit of products.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        meta = json.loads(header[HEADER_KEY]) if HEADER_KEY in header else dict(header)
    except FileNotFoundError as error:
        raise ModelError(f"There is no file {path}.", "Check the path.") from error
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(
            f"{path} is not a whole safetensors file: {error}.",
            "It may be cut short; copy or download it again.",
        ) from error
    return tensors, meta


def finite(value: Any, digits: int | None = None) -> Any:
    """A tree of figures as strict JSON has them: None where one is not finite, else to so many digits."""
    if isinstance(value, Mapping):
        return {key: finite(each, digits) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(each, digits) for each in value]
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    return value if digits is None else float(f"{value:.{digits}g}")


def sha256(file: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _hidden(error: BaseException) -> OSError | None:
    """The operating system's refusal in an error of safetensors, which has its number in the words alone."""
    number = re.search(r"os error (\d+)", str(error))
    if number is None or not type(error).__module__.startswith("safetensors"):
        return None
    return OSError(int(number[1]), os.strerror(int(number[1])))


def _header(meta: Mapping[str, Any]) -> dict[str, str]:
    return {HEADER_KEY: json.dumps(dict(meta), sort_keys=True)}


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As safetensors wants them: in memory of their own, for it refuses two names for one piece."""
    whole: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        memory = plain.untyped_storage().data_ptr()
        whole[name] = plain.clone() if memory in seen else plain
        seen.add(memory)
    return whole


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; what was written there replaces `path` once the disk has it."""
    temporary = _neighbour(path)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with storage_errors(path):
            yield temporary
            _sync(temporary)
            temporary.replace(path)
            _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _swap(new: Path, path: Path) -> None:
    """Put the folder `new` where `path` is; the folder that was there is removed last."""
    if not path.exists():
        new.replace(path)
        return
    old = _neighbour(path, ASIDE)
    try:
        path.replace(old)
        new.replace(path)
    except BaseException:  # Ctrl-C as well: until the second rename, only `old` is whole
        if old.exists() and not path.exists():
            old.replace(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _neighbour(path: Path, kind: str = PART) -> Path:
    """A hidden unused name in the same folder, hence on the same disk, so that the final rename is atomic."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.{kind}")


def _remove_leftovers(path: Path) -> None:
    """Remove what killed processes left of their writing `path`.

    What another process may be at work on is younger than STALE; what was set aside stays without `path`.
    """
    with suppress(OSError):
        for kind in (PART, ASIDE) if path.exists() else (PART,):
            for left in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 8}.{kind}"):
                status = left.stat()
                if time.time() - max(status.st_mtime, status.st_ctime) < STALE:
                    continue
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Have the disk hold what was written to `path` (Windows cannot open folders and does not need it)."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"

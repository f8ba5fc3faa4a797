from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import pytest
import torch

from visard.errors import BusyError, DiskFullError, ModelError, StorageError
from visard.storage import (
    atomic_folder,
    atomic_write,
    claimed,
    finite,
    known_error,
    load_tensors,
    require_space,
    save_tensors,
    size_of,
    storage_errors,
    user_folder,
)


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_atomic_write_replaces_and_makes_folders(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.bin"
    atomic_write(file, b"one")
    atomic_write(file, b"two")
    assert file.read_bytes() == b"two"
    assert list(file.parent.iterdir()) == [file]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.bin"
    atomic_write(file, b"old")
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(StorageError, match="disk is full") as caught:
        atomic_write(file, b"new")
    assert caught.value.exit_code == 4
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_the_umask_of_the_user_holds(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a.bin", b"")
    (tmp_path / "plain").touch()
    assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_unwritable_place_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="could not be written"):
        atomic_write(tmp_path / "file" / "a.bin", b"")
    with pytest.raises(StorageError), atomic_folder(tmp_path / "file" / "folder"):
        pass


def test_atomic_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with atomic_folder(target) as folder:
        (folder / "part").mkdir()
        (folder / "part" / "a").write_text("1")
        assert not target.exists()
    assert (target / "part" / "a").read_text() == "1"
    with atomic_folder(target) as folder:
        (folder / "b").write_text("2")
    assert [file.name for file in target.iterdir()] == ["b"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_claimed_folder_is_one_commands_alone_until_it_ends(tmp_path: Path) -> None:
    with claimed(tmp_path / "run"):
        with pytest.raises(BusyError, match="at work in"), claimed(tmp_path / "run"):
            pytest.fail("two at once")
        with claimed(tmp_path / "other"):
            pass
    with claimed(tmp_path / "run"):
        pass
    assert list((tmp_path / "run").iterdir()) == []


def test_what_a_killed_command_claimed_is_free(tmp_path: Path) -> None:
    script = "import os, sys; from visard.storage import claimed\nwith claimed(sys.argv[1]):\n    os._exit(9)"
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert killed.returncode == 9
    assert [each.name for each in tmp_path.iterdir()] == [".lock"]
    with claimed(tmp_path):
        pass


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), ValueError(), OSError(errno.ENOSPC, "full")])
def test_atomic_folder_leaves_the_old_one_when_filling_fails(tmp_path: Path, failure: BaseException) -> None:
    target = tmp_path / "model"
    with atomic_folder(target) as folder:
        (folder / "a").write_text("old")
    expected = StorageError if isinstance(failure, OSError) else type(failure)
    with pytest.raises(expected), atomic_folder(target) as folder:
        (folder / "a").write_text("new")
        raise failure
    assert (target / "a").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("platform", "kind", "variable", "at_home"),
    [
        ("linux", "data", "XDG_DATA_HOME", ".local/share"),
        ("linux", "cache", "XDG_CACHE_HOME", ".cache"),
        ("darwin", "data", "", "Library/Application Support"),
        ("darwin", "cache", "", "Library/Caches"),
        ("win32", "data", "LOCALAPPDATA", "AppData/Local"),
        ("win32", "cache", "LOCALAPPDATA", "AppData/Local"),
    ],
)
def test_the_users_folders_are_the_platforms(
    platform: str,
    kind: Literal["data", "cache"],
    variable: str,
    at_home: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    assert user_folder(kind) == tmp_path / at_home / "visard"
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "own"))
        assert user_folder(kind) == tmp_path / "own" / "visard"


def test_ctrl_c_between_the_two_renames_keeps_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with atomic_folder(tmp_path / "model") as folder:
        (folder / "old").touch()
    replace = Path.replace

    def interrupted(new: Path, target: Path) -> Path:
        if target == tmp_path / "model" and (new / "new").exists():
            raise KeyboardInterrupt
        return replace(new, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "model") as folder:
        (folder / "new").touch()
    assert [file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*")] == ["model", "model/old"]


def test_what_a_killed_process_left_half_written_goes_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    for name in (".model.0123abcd.part", ".model.0123abcd.old", ".model2.0123abcd.part", ".model.notes.part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").touch()
    (tmp_path / ".lora.0123abcd.part").touch()
    kept = {each.name for each in tmp_path.iterdir()}

    def write() -> set[str]:
        with atomic_folder(tmp_path / "model"):
            save_tensors(tmp_path / "lora", {}, {})
        return kept - {each.name for each in tmp_path.iterdir()}

    assert write() == set()
    shutil.rmtree(tmp_path / "model")
    monkeypatch.setattr(time, "time", lambda: now + 2 * 24 * 3600)
    half = {".model.0123abcd.part", ".lora.0123abcd.part"}
    assert write() == half  # without `model`, what was set aside is all there is
    assert write() == half | {".model.0123abcd.old"}


def test_require_space(tmp_path: Path) -> None:
    require_space(tmp_path / "not" / "yet" / "there", 1)
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(StorageError, match="left") as caught:
        require_space(tmp_path, free * 2 + 10**12)
    assert "GB" in caught.value.message


def test_tensors_and_their_meta_survive(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    tensors = {
        "a": torch.randn(3, 4),
        "turned": torch.randn(4, 5).T,
        "half": torch.ones(2, dtype=torch.float16),
    }
    meta = {"round": 3, "rho": 0.1, "names": ["x", "y"], "none": None}
    save_tensors(file, tensors, meta)
    loaded, loaded_meta = load_tensors(file)
    assert loaded_meta == meta
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)


def test_tensors_that_share_memory_are_saved_all_the_same(tmp_path: Path) -> None:
    both = torch.arange(6.0).reshape(2, 3)
    save_tensors(tmp_path / "a.safetensors", {"all": both, "again": both, "row": both[1]}, {})
    loaded, _ = load_tensors(tmp_path / "a.safetensors")
    assert torch.equal(loaded["again"], both)
    assert torch.equal(loaded["row"], both[1])


def test_a_full_disk_while_saving_tensors_keeps_the_old_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import safetensors.torch
    from safetensors import SafetensorError

    file = tmp_path / "a.safetensors"
    save_tensors(file, {"a": torch.zeros(1)}, {})

    def fail(*_: object, **__: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(safetensors.torch, "save_file", fail)
    with pytest.raises(StorageError, match="disk is full"):
        save_tensors(file, {"a": torch.ones(1)}, {})
    assert load_tensors(file)[0]["a"].item() == 0
    assert list(tmp_path.iterdir()) == [file]


def test_missing_and_damaged_tensor_files_are_model_errors(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no file"):
        load_tensors(tmp_path / "nowhere.safetensors")
    file = tmp_path / "a.safetensors"
    save_tensors(file, {"a": torch.zeros(100)}, {"x": 1})
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        load_tensors(file)
    file.write_bytes(b"text")
    with pytest.raises(ModelError):
        load_tensors(file)


def test_a_foreign_header_is_returned_as_it_is(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", {"format": "pt"})
    assert load_tensors(tmp_path / "a.safetensors")[1] == {"format": "pt"}


def test_storage_errors_tell_a_full_disk_from_others(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="disk is full"), storage_errors(tmp_path):
        _full()
    with pytest.raises(StorageError, match="Permission denied"), storage_errors(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_figures_are_strict_json_and_as_long_as_asked() -> None:
    nan, inf = float("nan"), float("inf")
    tree = {"a": (nan, [inf, -inf]), "b": {"c": 1 / 3}, "n": 12345678, "yes": True, "none": None, "s": "nan"}
    found = finite(tree)
    rest = {"n": 12345678, "yes": True, "none": None, "s": "nan"}
    assert found == {"a": [None, [None, None]], "b": {"c": 1 / 3}, **rest}
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert finite(tree, 6) == found | {"b": {"c": 0.333333}}
    assert finite(nan) is None
    assert finite(0.1 + 0.2) == 0.1 + 0.2


def test_what_safetensors_hides_in_words_is_a_full_disk_too(tmp_path: Path) -> None:
    from safetensors import SafetensorError

    full = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    with pytest.raises(DiskFullError), storage_errors(tmp_path):
        raise full
    assert isinstance(known_error(full), DiskFullError)
    with pytest.raises(SafetensorError), storage_errors(tmp_path):  # a bug stays one
        raise SafetensorError("Error while deserializing header")


def test_the_size_of_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "a").write_bytes(b"123")
    (tmp_path / "folder" / "deep" / "b").write_bytes(b"45")
    assert (size_of(tmp_path / "folder"), size_of(tmp_path / "folder" / "a")) == (5, 3)
    assert size_of(tmp_path / "nothing") == 0

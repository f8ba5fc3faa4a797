from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from typer.testing import Result

from visard import api
from visard.diffusion.sources import ALIASES
from visard.errors import InputError, ModelError, StorageError, TrainingError
from visard.storage import storage_error

Run = Callable[..., Result]
TIMEOUT = 300.0
"""Seconds that other processes may take on a busy machine."""
COMMANDS = [
    "personalize",
    "protect",
    "generate",
    "audit",
    "inspect",
    "demo",
    "bench main",
    "world sample",
    "world train",
]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_explains_itself(visard: Run, command: str) -> None:
    shown = visard(*command.split(), "--help")
    assert shown.exit_code == 0
    assert "Usage" in shown.stdout
    if command:
        assert f"visard {command}" in shown.stdout  # an example: the usage line above says "root" in tests


def test_help_needs_no_heavy_library() -> None:
    code = "import sys, visard.cli.main; print(*({'torch', 'diffusers', 'numpy'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == ""


def test_version(visard: Run) -> None:
    assert visard("--version").stdout.startswith("visard 0.")


@pytest.mark.parametrize("error", [InputError, ModelError, StorageError, TrainingError])
def test_errors_are_explained_and_have_codes(
    visard: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: type[InputError]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error("This went wrong.", "Do that.")

    monkeypatch.setattr(api, "personalize", fail)
    shown = visard("personalize", tmp_path, tmp_path / "run")
    assert shown.exit_code == error.exit_code
    assert shown.stderr == "Error: This went wrong.\nDo that.\n"
    assert shown.stdout == ""
    assert "Traceback" in visard("--debug", "personalize", tmp_path, tmp_path / "run").stderr


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/full/disk"), 4, "/full/disk"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 4, "disk is full"),
        (RuntimeError("write: No space left on device"), 4, "disk is full"),
        (MemoryError(), 5, "memory"),
        (type("OutOfMemoryError", (RuntimeError,), {})(), 5, "memory"),
        (KeyboardInterrupt(), 130, "goes on from what was saved"),
    ],
)
def test_what_the_machine_lacks_is_said(
    visard: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    error: BaseException,
    code: int,
    message: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(api, "generate", fail)
    shown = visard("generate", tmp_path, tmp_path / "out")
    assert shown.exit_code == code
    assert message in shown.stderr
    assert "Traceback" not in shown.stderr


GOES_ON = "The same command goes on from what was saved."
ANEW = "The same without --no-resume goes on from what was saved."


@pytest.mark.parametrize(
    ("command", "called", "words"),
    [
        ("personalize photos run", "visard.api.personalize", GOES_ON),
        ("personalize photos run --no-resume", "visard.api.personalize", ANEW),
        ("protect photos out --method aspl", "visard.api.protect", GOES_ON),
        ("protect photos out --method aspl --no-resume", "visard.api.protect", ANEW),
        ("bench main bench", "visard.kits.open_kit", GOES_ON),
        ("bench table1 bench", "visard.kits.open_kit", GOES_ON),
        ("world render base --data renders", "visard.world.dataset.render_split", GOES_ON),
        ("audit pictures --reference photos --kit real.toml", "visard.api.audit", ""),
        ("attack people", "visard.api.attack", ""),
        ("bench step --photos photos", "visard.kits.open_kit", ""),
        ("bench tmax", "visard.kits.open_kit", ""),
        ("world sample people", "visard.world.sampling.sample", ""),
    ],
)
def test_who_stops_a_command_is_told_whether_it_goes_on(
    visard: Run, monkeypatch: pytest.MonkeyPatch, command: str, called: str, words: str
) -> None:
    def press_ctrl_c(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(called, press_ctrl_c)
    stopped = visard(*command.split())
    assert stopped.exit_code == 130
    assert stopped.stderr == f"\nStopped. {words}".rstrip() + "\n"


@pytest.mark.parametrize(
    ("command", "called", "advice"),
    [
        ("personalize photos run", "visard.api.personalize", f"Free some space. {GOES_ON}"),
        ("personalize photos run --no-resume", "visard.api.personalize", f"Free some space. {ANEW}"),
        ("protect photos out --method aspl --no-resume", "visard.api.protect", f"Free some space. {ANEW}"),
        ("bench main bench", "visard.kits.open_kit", f"Free some space. {GOES_ON}"),
        ("attack people", "visard.api.attack", "Free some space, then start the same command again."),
    ],
)
@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left", "file"), storage_error(OSError(errno.EDQUOT, ""), "file")],
)
def test_after_a_full_disk_nobody_is_sent_to_begin_anew(
    visard: Run, monkeypatch: pytest.MonkeyPatch, command: str, called: str, advice: str, error: Exception
) -> None:
    def fill_the_disk(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(called, fill_the_disk)
    shown = visard(*command.split())
    assert shown.exit_code == 4
    assert shown.stderr == f"Error: The disk is full: file could not be written.\n{advice}\n"


def test_who_stops_an_attack_on_a_benchmark_is_told_what_is_kept(
    visard: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def press_ctrl_c(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "attack", press_ctrl_c)
    (tmp_path / "bench.json").write_text("{}")
    stopped = visard("attack", tmp_path)
    assert stopped.exit_code == 130
    kept = f"What was done with the attacker's people is kept in {tmp_path}."
    assert stopped.stderr == f"\nStopped. {kept} {GOES_ON}\n"


def test_where_results_go_is_looked_at_first(
    visard: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def work(*_: object, **__: object) -> None:
        raise AssertionError("this takes twenty minutes")

    for name in ("visard.api.kits.open_kit", "visard.kits.open_kit", "visard.world.check.check"):
        monkeypatch.setattr(name, work)
    page, inside = tmp_path / "page.md", tmp_path / "page.md" / "file"
    sheet = tmp_path / "page.md" / "sheet.html"
    page.write_text("no marks")
    for code, *command in (
        (4, "audit", tmp_path, "--reference", tmp_path, "--report", inside),
        (4, "attack", tmp_path, "--to", inside),
        (4, "attack", tmp_path, "--report", inside),
        (4, "bench", "tmax", "--to", inside),
        (4, "photos", "check", tmp_path, "--out", sheet),
        (4, "photos", "prepare", tmp_path, inside),
        (2, "photos", "prepare", tmp_path, page),
        (2, "bench", "main", tmp_path / "bench", "--into", page),
        (2, "world", "check", "--into", page),
    ):
        shown = visard(*command)
        assert shown.exit_code == code, shown.output
        assert str(page) in shown.stderr


def test_every_alias_of_a_base_model_is_said(visard: Run) -> None:
    words = visard("generate", "--help").stdout.replace("│", " ").replace(",", " ").split()
    assert set(ALIASES) <= {word.rstrip(".") for word in words}


PROGRAM = """
from functools import partial
from pathlib import Path

import support.chores
from visard.cli.main import app, main


@app.command()
def work(out: Path) -> None:
    from visard import pool

    pool.run(["endless"], [partial(support.chores.begin, out)] * 2, watch=lambda left: None)


main()
"""
"""`visard` with a command whose worker process would never end."""


STOPPED = "\nStopped.\n"


@pytest.mark.parametrize(
    ("sent", "code", "words"), [(signal.SIGTERM, 130, STOPPED), (signal.SIGKILL, -9, "")]
)
def test_a_command_that_is_ended_ends_its_worker(
    tmp_path: Path, sent: signal.Signals, code: int, words: str
) -> None:
    said, begun = tmp_path / "stderr.txt", tmp_path / "endless"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    command = [sys.executable, "-c", PROGRAM, "work", str(tmp_path)]
    with said.open("w") as stderr, subprocess.Popen(command, stderr=stderr, env=environment) as process:
        try:
            until(lambda: process.poll() is not None or (begun.exists() and begun.read_text() != ""))
            process.send_signal(sent)
            assert process.wait(TIMEOUT) == code
            until(lambda: not runs(int(begun.read_text())))
        finally:
            process.kill()
            if begun.exists() and runs(worker := int(begun.read_text())):
                os.kill(worker, signal.SIGKILL)
    assert said.read_text() == words


def runs(number: int) -> bool:
    """Whether there is such a process; one that has ended may still be listed, as a zombie."""
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that other processes do."""
    end = time.monotonic() + TIMEOUT
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_bug_keeps_its_traceback(visard: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> None:
        raise IndexError("a bug")

    monkeypatch.setattr(api, "generate", fail)
    assert isinstance(visard("generate", tmp_path, tmp_path / "out").exception, IndexError)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--privacy", "low", "--no-defence"], "exclude each other"),
        (["--kit", "nowhere.toml"], "no kit nowhere.toml"),
        (["--device", "abacus"], "no device abacus"),
        (["--rho", "2"], "less than or equal to 1"),
        (["--privacy", "utmost"], "utmost"),
    ],
)
def test_options_that_cannot_be(
    visard: Run, photo_folder: Callable[..., Path], options: list[str], message: str
) -> None:
    folder = photo_folder(1)
    shown = visard("personalize", folder, folder / "run", *options)
    assert shown.exit_code == 2
    assert message in shown.stderr
    assert not (folder / "run").exists()

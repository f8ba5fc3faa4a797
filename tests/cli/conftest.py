"""A command line, and a kit small enough to run it for real."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from support.bench import by_number, write_bench_kit
from support.kits import QUICK, face_in_the_middle, two_recognizers, write_kit, write_networks
from support.tiny import tiny_pipeline
from visard.faces.scrfd import Scrfd
from visard.world import sampling


@pytest.fixture
def visard() -> Callable[..., Result]:
    """`visard("audit", "--help")`: what the command prints and the code it exits with."""
    from visard.cli.main import app

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kit with a random 32 px base model, whose detector finds a face in the middle of every picture."""
    folder = tmp_path / "kit"
    folder.mkdir()
    write_networks(folder)
    tiny_pipeline(folder / "model")
    monkeypatch.setenv("VISARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Scrfd, "detect", face_in_the_middle)
    return write_kit(folder, QUICK + two_recognizers())


@pytest.fixture
def bench_kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A kit for benchmarks, whose people are colour patterns and whose detector finds a face everywhere."""
    (tmp_path / "bench-kit").mkdir()
    monkeypatch.setenv("VISARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Scrfd, "detect", face_in_the_middle)
    monkeypatch.setattr(sampling, "pictures", by_number)
    return write_bench_kit(tmp_path / "bench-kit")

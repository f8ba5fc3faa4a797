"""One finished benchmark for the whole session, whose detector finds a face in every picture."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.bench import JOB, LINEUP, SAMPLING, camera, write_bench_kit
from support.kits import face_in_the_middle
from visard.benchmark import job
from visard.benchmark.protocol import Protocol, build_protocol
from visard.faces.scrfd import Scrfd
from visard.kits import open_kit


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _faces(cache: Path) -> Iterator[None]:
    """Only while a test of this folder runs: others want the real detector."""
    with faces_everywhere(cache):
        yield


@contextmanager
def faces_everywhere(cache: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scrfd, "detect", face_in_the_middle)
        patch.setenv("VISARD_CACHE", str(cache))
        yield


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_bench_kit(tmp_path_factory.mktemp("kit"))


@pytest.fixture(scope="session")
def protocol(kit: str) -> Protocol:
    return build_protocol(open_kit(kit), {}, SAMPLING, LINEUP)


@pytest.fixture(scope="session")
def original(cache: Path, kit: str, protocol: Protocol, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished benchmark of two people and two arms."""
    out = tmp_path_factory.mktemp("original") / "bench"
    with faces_everywhere(cache):
        job.run(JOB, protocol, out, kit=kit, camera=camera)
    return out


@pytest.fixture
def bench(original: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(original, tmp_path / "bench"))

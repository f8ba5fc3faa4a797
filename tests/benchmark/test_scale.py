"""One worker against two; the comparison itself needs Ray and takes a minute (`make test-slow`)."""

from __future__ import annotations

import os
import shutil
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

import support.bench
from support.bench import JOB, begin_with_faces, camera
from visard.benchmark import scale
from visard.benchmark.protocol import Protocol
from visard.errors import InputError


def test_the_ratio_is_of_the_same_units():
    found = scale.Scaling(units=4, workers=2, seconds_alone=90, seconds_together=50, same_tables=True)
    assert found.ratio == pytest.approx(1.8)


def test_nothing_is_compared_with_itself_or_with_what_is_done(protocol: Protocol, tmp_path: Path):
    with pytest.raises(InputError, match="compared"):
        scale.measure(JOB, protocol, tmp_path)  # one worker
    (tmp_path / "workers-2" / "units").mkdir(parents=True)
    with pytest.raises(InputError, match="holds units"):
        scale.measure(scale.replace(JOB, workers=2), protocol, tmp_path)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system does not tie processes to cores")
def test_every_process_claims_a_core_of_its_own(tmp_path: Path):
    with get_context("spawn").Pool(1, maxtasksperchild=1) as processes:
        claims = [processes.apply(_cores_after_beginning, (tmp_path,)) for _ in range(2)]
    cores = sorted(os.sched_getaffinity(0))
    assert claims == [{cores[0]}, {cores[1 % len(cores)]}]


def _cores_after_beginning(claims: Path) -> set[int]:
    scale.begin_on_own_core(partial(partial, print), claims)
    return os.sched_getaffinity(0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own warnings are many
def test_two_workers_make_the_tables_of_one(
    original: Path,
    protocol: Protocol,
    kit: str,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    pytest.importorskip("ray", reason='Ray is not installed: pip install "visard[cluster]"')
    for workers in (1, 2):
        shutil.copytree(original / "people", tmp_path / f"workers-{workers}" / "people")
    monkeypatch.setenv("PYTHONPATH", str(Path(support.bench.__file__).parents[1]))
    begin = scale.begin_on_own_core
    monkeypatch.setattr(
        scale,
        "begin_on_own_core",
        lambda start, claims: begin(partial(begin_with_faces, start, cache), claims),
    )
    found = scale.measure(scale.replace(JOB, workers=2), protocol, tmp_path, kit=kit, camera=camera)
    assert found.same_tables
    assert found.units == len(JOB.units)
    assert min(found.seconds_alone, found.seconds_together) > 0

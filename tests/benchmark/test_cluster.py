"""A Ray cluster of several machines, all of them this one; where Ray is not installed, pytest says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

import support.chores
from support.bench import JOB, begin_with_faces, camera
from visard.benchmark import cluster as cluster_module
from visard.benchmark import job, tables
from visard.benchmark.cluster import Cluster
from visard.benchmark.protocol import Protocol, Unit
from visard.benchmark.summary import summarize
from visard.errors import InputError, StorageError
from visard.pool import Failures, Start, Watch

pytest.importorskip("ray", reason='Ray is not installed: pip install "visard[cluster]"')
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray's own warnings are many

NODES = 2
STARTS = 4
"""Tries: Ray gives up on a machine that has not started in 30 s, which a busy one has not."""


@pytest.fixture(scope="module")
def machines() -> Iterator[object]:
    """A cluster of a head that does no work and two machines of one processor."""
    import ray
    from ray.cluster_utils import Cluster as Machines

    made = Machines()
    for options in ({"num_cpus": 0}, *[{"num_cpus": 1}] * NODES):
        started(lambda options=options: made.add_node(include_dashboard=False, **options))
    nodes = list(made.worker_nodes)
    made.spare = nodes  # type: ignore[attr-defined]
    tests = str(Path(support.chores.__file__).parents[1])
    ray.init(address=made.address, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": tests}})
    yield made
    ray.shutdown()
    made.shutdown()


def started(start: Callable[[], object]) -> None:
    """Try until a machine is there."""
    for _ in range(STARTS - 1):
        with suppress(Exception):
            start()
            return
    start()


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "TICK", 0.2)


def quiet(left: Sequence[str]) -> None:
    """Watches nothing."""


def test_units_are_shared_and_failures_told(machines: object, tmp_path: Path) -> None:
    units = ["a", "refused", "bug", "b", "c"]
    failures = Cluster()(units, partial(support.chores.begin, tmp_path), quiet)
    assert names(tmp_path) == set(units)
    assert str(failures["refused"]) == "not this one\ntry another"
    assert "KeyError: 'bug'" in str(failures["bug"])
    assert set(failures) == {"refused", "bug"}


def test_what_no_worker_can_do_stops_everything(machines: object, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="full"):
        Cluster()(["full"], partial(support.chores.begin, tmp_path), quiet)
    with pytest.raises(InputError, match="no kit"):
        Cluster()(["a"], partial(support.chores.refuse, tmp_path), quiet)


def test_a_benchmark_that_loses_a_machine_has_the_same_tables(
    machines: object, original: Path, protocol: Protocol, kit: str, cache: Path, tmp_path: Path
) -> None:
    """One of two machines is killed while units are at work."""
    out, cluster, lost = tmp_path / "bench", Cluster(), []

    def execute(units: Sequence[Unit], start: Start[Unit], watch: Watch[Unit]) -> Failures[Unit]:
        def kill_one(left: Sequence[Unit]) -> None:
            watch(left)
            if not lost and any((unit.folder(out) / "unit.json").exists() for unit in left):
                lost.append(machines.spare.pop())  # type: ignore[attr-defined]
                machines.remove_node(lost[0], allow_graceful=False)  # type: ignore[attr-defined]

        return cluster(units, partial(begin_with_faces, start, cache), kill_one)

    job.run(JOB, protocol, out, kit=kit, camera=camera, execute=execute)
    assert lost
    mine, theirs = (summarize(job.finished(folder)) for folder in (out, original))
    assert tables.as_csv(mine) == tables.as_csv(theirs)
    assert len(mine.rows) > 0

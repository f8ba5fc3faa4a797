"""How much sooner several workers of a cluster are done than one: the same units twice, in one run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path

from visard.benchmark import job, tables
from visard.benchmark.cluster import Cluster, import_ray
from visard.benchmark.people import Camera, world_camera
from visard.benchmark.protocol import Protocol, Unit
from visard.benchmark.summary import summarize
from visard.errors import InputError
from visard.pool import Failures, Start, Watch
from visard.progress import Progress, silent


@dataclass(frozen=True)
class Scaling:
    """Seconds that one worker and `workers` took for the same units, their starts included."""

    units: int
    workers: int
    seconds_alone: float
    seconds_together: float
    same_tables: bool

    @property
    def ratio(self) -> float:
        """How many times as fast they were together; `workers` would be perfect."""
        return self.seconds_alone / self.seconds_together


def measure(
    asked: job.Job,
    protocol: Protocol,
    out: Path,
    *,
    kit: str = "world",
    camera: Camera = world_camera,
    progress: Progress = silent,
) -> Scaling:
    """Do the job with one worker of a Ray cluster of this machine, then anew with `asked.workers`.

    Every worker keeps to one core and one thread. Raises InputError without Ray, or when units are there.
    """
    folders = {workers: out / f"workers-{workers}" for workers in (1, asked.workers)}
    if asked.workers < 2:
        raise InputError("One worker has nothing to be compared with.", "Give --workers 2 or more.")
    if any((folder / "units").exists() for folder in folders.values()):
        raise InputError(f"{out} holds units, which would not be done again.", "Choose an empty folder.")
    seconds = {}
    for workers, folder in folders.items():
        clock = _Clock(folder / "cores")
        with _machine(workers):
            clock.cluster = Cluster()
            job.run(
                replace(asked, workers=workers), protocol, folder,
                kit=kit, camera=camera, execute=clock, progress=progress,
            )  # fmt: skip
        seconds[workers] = clock.seconds
    alone, together = (tables.as_csv(summarize(job.finished(folder))) for folder in folders.values())
    return Scaling(len(asked.units), asked.workers, seconds[1], seconds[asked.workers], alone == together)


class _Clock:
    """A job.Executor that notes how long the units took, each worker on a core of its own."""

    cluster: Cluster

    def __init__(self, cores: Path) -> None:
        self.cores, self.seconds = cores, 0.0

    def __call__(self, units: Sequence[Unit], start: Start[Unit], watch: Watch[Unit]) -> Failures[Unit]:
        began = time.monotonic()
        try:
            return self.cluster(units, partial(begin_on_own_core, start, self.cores), watch)
        finally:
            self.seconds += time.monotonic() - began


def begin_on_own_core(start: Start[Unit], claims: Path) -> Callable[[Unit], None]:
    """Keep this process to a core that no other has claimed, where the system can; then begin."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[_claim(claims) % len(cores)]})
    return start()


def _claim(folder: Path) -> int:
    """The first number that no process has taken in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in count():
        try:
            (folder / str(number)).touch(exist_ok=False)
        except FileExistsError:
            continue
        return number
    raise AssertionError("numbers do not end")


@contextmanager
def _machine(workers: int) -> Iterator[None]:
    """A Ray cluster of this machine alone, with so many workers."""
    ray = import_ray()
    ray.init(num_cpus=workers, log_to_driver=False, include_dashboard=False)
    try:
        yield
    finally:
        ray.shutdown()

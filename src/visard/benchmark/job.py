"""The main job: photographs, class pictures, then every unit; whatever is done is not done again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean
from typing import TypeVar

from visard import pool
from visard.benchmark.methods import find_method
from visard.benchmark.people import Camera, Sitting, Studio, world_camera
from visard.benchmark.protocol import Protocol, Unit, sources_of
from visard.benchmark.result import Result, read_result
from visard.benchmark.unit import UnitJob
from visard.benchmark.workshop import OutOfTimeError, Workshop
from visard.errors import BusyError, InputError, TrainingError, VisardError
from visard.kits import open_kit, placed
from visard.personalization.prior import class_posteriors
from visard.progress import Progress, silent

SHOWN_FAILURES = 3
LEFT = (BusyError, OutOfTimeError)
"""What is no failure: the unit is left, to another command or to the next sitting."""

T = TypeVar("T")
Executor = Callable[[Sequence[T], pool.Start[T], pool.Watch[T]], pool.Failures[T]]
"""Does every unit and returns those that failed, with the reason: this machine's processes, or a cluster.

`width`, where it has one: how many units it does at a time."""


@dataclass(frozen=True)
class Job:
    """Which units to do, and how."""

    people: Sequence[int]
    strangers: Sequence[int]
    arms: Sequence[str]
    seeds: Sequence[int] = (0,)
    workers: int = 2
    keep_models: bool = False

    @property
    def units(self) -> list[Unit]:
        """Person by person, so that an unfinished job has whole people to compare."""
        return [Unit(person, arm, seed) for person in self.people for seed in self.seeds for arm in self.arms]

    @property
    def keeps_models(self) -> bool:
        """Whether models stay where they are trained: because it is asked, or because an arm draws again."""
        return self.keep_models or any(find_method(arm).arm.draws for arm in self.arms)


@dataclass(frozen=True)
class Slice:
    """How much of a job to do now: at most so many units, and nothing after so many minutes."""

    units: int | None = None
    minutes: float | None = None

    @property
    def deadline(self) -> float | None:
        """Seconds since the epoch."""
        return None if self.minutes is None else time.time() + 60 * self.minutes


def is_over(deadline: float | None) -> bool:
    """Whether a slice's time is up."""
    return deadline is not None and time.time() > deadline


def run(
    job: Job,
    protocol: Protocol,
    out: Path,
    *,
    kit: str = "world",
    camera: Camera = world_camera,
    execute: Executor[Unit] | None = None,
    part: Slice = Slice(),
    progress: Progress = silent,
) -> list[Unit]:
    """Do what is left of the job in the folder `out`, or the `part` of it; returns what others are at.

    Units that another command has are left to it, and so are those that change their pictures.
    Raises InputError when `out` holds another protocol's units or lacks an arm that others change,
    StorageError, and TrainingError, after all others are done, when units failed.
    """
    deadline, out = part.deadline, out.resolve()  # a cluster's machines are in no folder of ours
    kit = placed(kit)
    protocol.claim(out)
    _check_sources(job, protocol, out)
    sittings = [Sitting(person) for person in job.people]
    sittings += [Sitting(person, stranger=True) for person in job.strangers]
    settle(
        pool.run(
            [each for each in sittings if not each.done(out)],
            [partial(open_studio, out, kit, camera)] * job.workers,
            watch=lambda left: progress("photographs", len(sittings) - len(left), len(sittings)),
        )
    )
    units, undone = job.units, left(job, protocol, out)[: part.units]
    if undone:
        _class_pictures(protocol, kit, progress)
    execute = execute or partial(processes, workers=job.workers)
    width = getattr(execute, "width", job.workers)
    pace = Pace(units, undone, protocol, out, width, progress)
    start = partial(
        Workshop,
        out,
        kit,
        people=job.people,
        decoder=protocol.decoder(open_kit(kit)),
        keep_models=job.keeps_models,
        deadline=deadline,
    )
    failures: pool.Failures[Unit] = {}
    for wave in waves(undone):
        ready = [unit for unit in wave if _ready(unit, job, protocol, out)]
        if ready:
            failures |= execute(ready, start, pace.watching(ready))
    settle({unit: error for unit, error in failures.items() if not isinstance(error, LEFT)})
    return [unit for unit, error in failures.items() if isinstance(error, BusyError)]


def left(job: Job, protocol: Protocol, out: Path) -> list[Unit]:
    """The job's units that are not finished, in the order they are done."""
    undone = [unit for unit in job.units if read_result(unit, protocol, out) is None]
    return [unit for wave in waves(undone) for unit in wave]


def waves(units: Sequence[Unit]) -> list[list[Unit]]:
    """Units that make their own pictures, those that change these, and so on: each begins when it can."""
    by_depth: dict[int, list[Unit]] = {}
    for unit in units:
        by_depth.setdefault(len(sources_of(unit.arm)), []).append(unit)
    return [by_depth[depth] for depth in sorted(by_depth)]


def _check_sources(job: Job, protocol: Protocol, out: Path) -> None:
    """Raise InputError where a unit takes pictures of another that is neither finished nor asked for."""
    asked = set(job.units)
    for unit in left(job, protocol, out):
        source = _source(unit, job, protocol, out)
        if source is None or source in asked or read_result(source, protocol, out) is not None:
            continue
        missing = source.arm not in job.arms
        raise InputError(
            f"{unit.arm} of person {unit.person} needs {source.arm} of person {source.person}, which is "
            "neither finished nor asked for.",
            f"Ask for both: --arms {source.arm},{unit.arm}." if missing else "Ask for more --people.",
        )


def _ready(unit: Unit, job: Job, protocol: Protocol, out: Path) -> bool:
    source = _source(unit, job, protocol, out)
    return source is None or read_result(source, protocol, out) is not None


def _source(unit: Unit, job: Job, protocol: Protocol, out: Path) -> Unit | None:
    """The unit whose pictures this one takes; None as well where it will say itself why there is none."""
    with suppress(InputError):
        return UnitJob(unit, protocol, out, job.people).source
    return None


def processes(
    units: Sequence[T], start: pool.Start[T], watch: pool.Watch[T], *, workers: int
) -> pool.Failures[T]:
    """The executor of this machine: so many processes."""
    return pool.run(units, [start] * workers, watch=watch)


def open_studio(out: Path, kit: str, camera: Camera) -> Studio:
    """What a worker photographs people with."""
    return Studio(out, Protocol.of(out).lineup, open_kit(kit).detector(), camera)


def finished(out: Path) -> list[Result]:
    """Every finished unit of a benchmark's folder."""
    protocol = Protocol.of(out)
    results = []
    for file in sorted((out / "units").glob("person-*/*/seed-*/result.json")):
        person, arm, seed = file.parts[-4:-1]
        unit = Unit(int(person.removeprefix("person-")), arm, int(seed.removeprefix("seed-")))
        result = read_result(unit, protocol, out)
        if result is not None:
            results.append(result)
    return results


def _class_pictures(protocol: Protocol, kit: str, progress: Progress) -> None:
    """Made once before the workers start, who would each make them."""
    settings = protocol.settings
    if settings.needs_class_pictures:
        with pool.limited_threads():
            backbone = open_kit(kit, protocol.device).backbone()
            class_posteriors(backbone, settings.prompts.prior, settings.prior, progress=progress)


def settle(failures: Mapping[T, VisardError]) -> None:
    """Raise TrainingError if any unit failed."""
    if failures:
        shown = [f"{unit}: {error}" for unit, error in list(failures.items())[:SHOWN_FAILURES]]
        raise TrainingError(
            f"{len(failures)} failed and the others are done:\n" + "\n".join(shown),
            "The same command tries them again; with --report-only it writes the tables of the others.",
        )


class Pace:
    """Units done and minutes left, from what units of the same arm have taken in one sitting."""

    def __init__(
        self,
        units: Sequence[Unit],
        undone: Sequence[Unit],
        protocol: Protocol,
        out: Path,
        workers: int,
        progress: Progress,
    ) -> None:
        self.protocol, self.out, self.workers, self.progress = protocol, out, workers, progress
        self.total, self.done, self.left = len(units), 0, set(undone)
        self.since = time.monotonic()
        self.seconds: dict[str, list[float]] = {}
        self._learn(set(units) - self.left)

    def watching(self, wave: Sequence[Unit]) -> Callable[[Sequence[Unit]], None]:
        """What watches one wave: the units outside it are left as they are."""
        return lambda left: self.watch([*(self.left - set(wave)), *left])

    def watch(self, left: Sequence[Unit]) -> None:
        """Report what is left; units that were tried and are not finished are not done."""
        self._learn(self.left - set(left))
        self.left = set(left)
        seconds = self.estimate()
        figures = {} if seconds is None else {"minutes_left": seconds / 60}
        self.progress("units", self.done, self.total, **figures)

    def estimate(self) -> float | None:
        """Seconds until the last unit is done; None before the first is."""
        work = self.work(self.left)
        return None if work is None else max(0.0, work / self.workers - (time.monotonic() - self.since))

    def work(self, units: Iterable[Unit]) -> float | None:
        """Seconds of one worker that units will take; None before the first is done."""
        if not self.seconds:
            return None
        return sum(mean(self.seconds.get(unit.arm) or self._of_its_sort(unit)) for unit in units)

    def _of_its_sort(self, unit: Unit) -> list[float]:
        """Of units that make pictures of their own, or not, as this one does; of all while there are none."""
        alike = [arm for arm in self.seconds if bool(Unit(0, arm, 0).after) == bool(unit.after)]
        return [value for arm in alike or self.seconds for value in self.seconds[arm]]

    def _learn(self, done: set[Unit]) -> None:
        if done:
            self.since = time.monotonic()
        for unit in done:
            result = read_result(unit, self.protocol, self.out)
            self.done += result is not None
            if result is not None and result.seconds.keys() & {"train", "generate"}:
                self.seconds.setdefault(unit.arm, []).append(sum(result.seconds.values()))

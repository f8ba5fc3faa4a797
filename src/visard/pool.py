"""Units of work over processes: interrupted, killed or failing, the others' work stays."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

import torch

from visard.errors import StorageError, VisardError
from visard.storage import known_error

T = TypeVar("T")
Start = Callable[[], Callable[[T], None]]
"""Called once in every process; gives what does one unit. Both must be picklable by name."""
Watch = Callable[[Sequence[T]], None]
"""Called with the units that are left, whenever that changes and every few seconds."""
Failures = dict[T, VisardError]
"""Units that could not be done, and why."""

TICK = 5.0
FAREWELL = 30.0
"""Seconds processes have to end."""
DIED = "Its process ended without a word; the machine's memory may be full: use fewer workers."


@dataclass(frozen=True)
class Failure:
    """Why a unit could not be done; `fatal` when no other could be either."""

    error: VisardError
    fatal: bool = False


def run(units: Sequence[T], starts: Sequence[Start[T]], *, watch: Watch[T], threads: int = 1) -> Failures[T]:
    """Do every unit, in a process for each of `starts`; returns those that failed, with the reason.

    A worker computes on as many `threads` however many workers there are, so that results do not depend on
    their number; a single worker is this process. Raises StorageError when the disk is full; Ctrl-C ends all
    workers at once.
    """
    if not units:
        return {}
    watch(units)
    if len(starts) == 1:
        return _alone(units, starts[0], watch, threads)
    return _Crew(units, starts, watch, threads).run()


@contextmanager
def limited_threads(count: int = 1) -> Iterator[None]:
    """Let torch compute on `count` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _alone(units: Sequence[T], start: Start[T], watch: Watch[T], threads: int) -> Failures[T]:
    failures: Failures[T] = {}
    with limited_threads(threads):
        work = start()
        for index, unit in enumerate(units, start=1):
            failure = attempt(work, unit)
            if failure is not None:
                if failure.fatal:
                    raise failure.error
                failures[unit] = failure.error
            watch(units[index:])
    return failures


def attempt(work: Callable[[T], None], unit: T) -> Failure | None:
    """Do one unit; what went wrong, if anything did."""
    try:
        work(unit)
    except Exception as error:  # a bug in one unit should not cost the night's other units
        known = as_known(error)
        return Failure(known, fatal=isinstance(known, StorageError))
    return None


def as_known(error: Exception) -> VisardError:
    """The error being handled as one that can be sent and told: a bug brings its traceback."""
    return known_error(error) or VisardError(traceback.format_exc())


def _serve(pipe: connection.Connection[Any, Any], start: Start[T], threads: int) -> None:
    """A worker process: units come in, None or a Failure goes out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process ends the others
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by an exception, so that half a file is removed
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    torch.set_num_threads(threads)
    with suppress(EOFError, BrokenPipeError):  # the first process is gone
        try:
            work = start()
        except Exception as error:
            pipe.send(Failure(as_known(error), fatal=True))
            return
        while True:
            pipe.send(attempt(work, pipe.recv()))


def _end_with_the_first() -> None:
    """Killed, the first process can end nobody: so its workers end by themselves, when it does."""
    first = parent_process()
    if first is not None:
        first.join()
        os.kill(os.getpid(), signal.SIGTERM)


class _Worker(Generic[T]):
    def __init__(self, start: Start[T], threads: int) -> None:
        context = get_context("spawn")  # torch's threads do not survive a fork
        self.start = start
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, start, threads), daemon=True)
        self.process.start()
        theirs.close()  # so that the end of the process ends the pipe
        self.unit: T | None = None

    def give(self, unit: T) -> None:
        self.unit = unit
        with suppress(OSError):  # it has died: the answer will tell
            self.pipe.send(unit)

    def answer(self) -> Failure | None:
        """What became of the unit. Raises EOFError or OSError when the process has died."""
        received: Failure | None = self.pipe.recv()
        return received

    def tell(self) -> None:
        """Have the process end: an idle one goes by itself, and tidily, one at work is stopped."""
        self.pipe.close()
        if self.unit is not None:
            self.process.terminate()


def _dismiss(workers: Sequence[_Worker[Any]]) -> None:
    """End the processes: all are told before any is waited for."""
    for worker in workers:
        worker.tell()
    processes = [worker.process for worker in workers]
    _await(processes)
    for process in processes:
        process.terminate()
    _await(processes)
    for process in processes:
        process.kill()
        process.join()


def _await(processes: Sequence[BaseProcess]) -> None:
    """Give the processes, all of them together, the time they have to end."""
    until = time.monotonic() + FAREWELL
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))


class _Crew(Generic[T]):
    def __init__(self, units: Sequence[T], starts: Sequence[Start[T]], watch: Watch[T], threads: int) -> None:
        self.waiting, self.watch, self.threads = deque(units), watch, threads
        self.vacant = list(starts)
        """What no process has begun with, or the process died."""
        self.workers: list[_Worker[T]] = []
        self.failures: Failures[T] = {}

    def run(self) -> Failures[T]:
        try:
            while self._employ():
                ready = connection.wait([worker.pipe for worker in self.workers], TICK)
                for worker in [each for each in self.workers if each.pipe in ready]:
                    self._settle(worker)
                self.watch(self._left())
        finally:
            _dismiss(self.workers)
        return self.failures

    def _employ(self) -> bool:
        """Give everybody something to do; whether anybody has."""
        idle = sum(worker.unit is None for worker in self.workers)
        for _ in range(min(len(self.vacant), len(self.waiting) - idle)):
            self.workers.append(_Worker(self.vacant.pop(0), self.threads))
        for worker in [each for each in self.workers if each.unit is None]:
            if self.waiting:
                worker.give(self.waiting.popleft())
            else:
                self._dismiss(worker)
        return bool(self.workers)

    def _settle(self, worker: _Worker[T]) -> None:
        unit, worker.unit = worker.unit, None
        try:
            failure = worker.answer()
        except (EOFError, OSError):
            failure = Failure(VisardError(DIED))
            self._dismiss(worker)
        if failure is None or unit is None:
            return
        if failure.fatal:
            raise failure.error
        self.failures[unit] = failure.error

    def _dismiss(self, worker: _Worker[T]) -> None:
        _dismiss([worker])
        self.workers.remove(worker)
        self.vacant.append(worker.start)

    def _left(self) -> list[T]:
        return [worker.unit for worker in self.workers if worker.unit is not None] + list(self.waiting)

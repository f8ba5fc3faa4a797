"""Units over the machines of a Ray cluster: the same units and the same code as in this machine's processes.

Every machine must see the benchmark's folder under the same path (a network drive): results, and what a
stopped training goes on from, are written there. So a unit whose machine is lost goes on where it was on
another one, and photos pass through no memory but that of the machine that works on them. Two machines that
take each other for dead write the same bytes, file by file and whole.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch

from visard.errors import BusyError, InputError, TrainingError
from visard.pool import DIED, TICK, Failure, Failures, Start, Watch, as_known, attempt

T = TypeVar("T")
RETRIES = 3
"""How often a unit is begun again when its machine or its process is lost."""
BUSY_TRIES, BUSY_WAIT = 3, 60.0
"""How often, and after how many seconds, one that another process has is tried again."""


class Cluster:
    """Does units on the machines of a Ray cluster, as `job.Executor` says.

    address: of the cluster, None: a cluster of this machine alone. gpus: share of a GPU that one unit takes,
    so that .25 puts four on each; 0: the processor. Raises InputError without Ray or without the cluster.
    """

    def __init__(self, address: str | None = None, *, gpus: float = 0.0, cpus: float = 1.0) -> None:
        self.ray = import_ray()
        self.gpus, self.cpus = gpus, cpus
        if not self.ray.is_initialized():
            try:
                self.ray.init(address=address, log_to_driver=False, include_dashboard=False)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise InputError(
                    f"There is no Ray cluster at {address}: {error}.",
                    "Start one with `ray start --head`, and name its address with --cluster.",
                ) from error

    def __call__(self, units: Sequence[T], start: Start[T], watch: Watch[T]) -> Failures[T]:
        """Do every unit, as many at a time as the cluster has room for; returns those that failed.

        One that another process has is tried again, a few times: it may be a lost machine's, which is soon
        known to be lost. Raises StorageError, and what a worker cannot begin for; Ctrl-C ends all work.
        """
        failures = self._once(units, start, watch)
        for _ in range(BUSY_TRIES):
            busy = [unit for unit, error in failures.items() if isinstance(error, BusyError)]
            if not busy:
                break
            watch(busy)
            time.sleep(BUSY_WAIT)
            others = {unit: error for unit, error in failures.items() if unit not in busy}
            failures = others | self._once(busy, start, watch)
        return failures

    def _once(self, units: Sequence[T], start: Start[T], watch: Watch[T]) -> Failures[T]:
        token, shared = secrets.token_hex(8), self.ray.put(start)
        work = self.ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=RETRIES, max_calls=0)(_do)
        waiting = {work.remote(token, shared, unit): unit for unit in units}
        failures: Failures[T] = {}
        watch(units)
        try:
            while waiting:
                done, _ = self.ray.wait(list(waiting), num_returns=1, timeout=TICK)
                for reference in done:
                    unit = waiting.pop(reference)
                    failure = self._outcome(reference)
                    if failure is not None and failure.fatal:
                        raise failure.error
                    if failure is not None:
                        failures[unit] = failure.error
                watch(list(waiting.values()))
        finally:
            for reference in waiting:
                self.ray.cancel(reference, force=True)
        return failures

    @property
    def width(self) -> int:
        """How many units there is room for at a time."""
        there = self.ray.cluster_resources()
        asked = {"CPU": self.cpus, "GPU": self.gpus}
        room = [there.get(name, 0.0) / share for name, share in asked.items() if share]
        return max(1, int(min(room, default=1.0)))

    def _outcome(self, reference: Any) -> Failure | None:
        try:
            failure: Failure | None = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:  # before its process could say so itself
            return Failure(
                TrainingError(
                    f"It could not be begun on its machine: {error.cause!r}.",
                    "Every machine needs the same visard, and OUT and the kit under the same paths.",
                )
            )
        except self.ray.exceptions.RayError:
            return Failure(TrainingError(DIED, f"It was begun {RETRIES + 1} times."))
        return failure


_BEGUN: dict[str, Callable[[Any], None]] = {}
"""What this process of a cluster began with: models are loaded once, not for every unit."""


def _do(token: str, start: Start[Any], unit: Any) -> Failure | None:
    """One unit in a process of the cluster, which stays for the next."""
    if token not in _BEGUN:
        torch.set_num_threads(1)
        _BEGUN.clear()
        try:
            _BEGUN[token] = start()
        except Exception as error:
            return Failure(as_known(error), fatal=True)
    return attempt(_BEGUN[token], unit)


def import_ray() -> Any:
    """The module. Raises InputError when the extra is not installed."""
    try:
        import ray
    except ImportError as error:
        raise InputError(
            "Ray is not installed.", 'Install it with: pip install "visard[cluster]".'
        ) from error
    return ray

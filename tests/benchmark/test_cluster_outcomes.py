"""What becomes of a cluster's units, by a cluster that is none: no machine, no process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from visard.benchmark import cluster as cluster_module
from visard.benchmark.cluster import BUSY_TRIES, Cluster
from visard.errors import BusyError, InputError


class Ray:
    """Does each unit when it is asked how it went."""

    class RayError(Exception): ...

    class RayTaskError(RayError):
        def __init__(self, cause: Exception) -> None:
            super().__init__(cause)
            self.cause = cause

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def is_initialized(self) -> bool:
        return True

    def put(self, value: Any) -> Any:
        return value

    def remote(self, **_: Any) -> Callable[[Any], Any]:
        return lambda work: SimpleNamespace(remote=lambda *given: Reference(work, given))

    def wait(self, references: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        return references[:1], references[1:]

    def get(self, reference: Reference) -> Any:
        return reference.work(*reference.given)

    def cancel(self, reference: Reference, force: bool) -> None: ...


class Reference:
    def __init__(self, work: Callable[..., Any], given: tuple[Any, ...]) -> None:
        self.work, self.given = work, given


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr(cluster_module, "import_ray", Ray)
    monkeypatch.setattr(cluster_module.time, "sleep", seconds.append)
    return seconds


def quiet(left: Sequence[str]) -> None:
    """Watches nothing."""


def test_a_unit_that_a_lost_machine_still_has_is_done_when_that_is_known(slept: list[float]) -> None:
    done: list[str] = []

    def work(unit: str) -> None:
        if unit == "refused":
            raise InputError("not this one")
        if unit == "never" or (unit == "held" and len(slept) < 2):
            raise BusyError("Another command is at work.")
        done.append(unit)

    failures = Cluster()(["held", "refused", "never", "free"], lambda: work, quiet)
    assert done == ["free", "held"]
    assert len(slept) == BUSY_TRIES
    assert {unit: type(error) for unit, error in failures.items()} == {
        "refused": InputError,
        "never": BusyError,
    }

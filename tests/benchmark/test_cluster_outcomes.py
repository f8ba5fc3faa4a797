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

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 24.0, "GPU": 2.0, "memory": 1e9}

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


def test_a_task_that_could_not_be_begun_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(self: Ray, reference: Reference) -> Any:
        raise Ray.RayTaskError(ModuleNotFoundError("No module named 'visard'"))

    monkeypatch.setattr(Ray, "get", get)
    failures = Cluster()(["a"], never, quiet)
    assert "ModuleNotFoundError" in str(failures["a"])
    assert "same paths" in failures["a"].advice


def never() -> Callable[[str], None]:
    raise AssertionError("nothing can be begun")


@pytest.mark.parametrize(("gpus", "cpus", "width"), [(0.0, 1.0, 24), (0.25, 1.0, 8), (0.0, 100.0, 1)])
def test_a_cluster_is_as_wide_as_it_has_room(gpus: float, cpus: float, width: int) -> None:
    assert Cluster(gpus=gpus, cpus=cpus).width == width

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

import support.chores
from visard import pool
from visard.benchmark import cluster
from visard.errors import InputError, StorageError


def quiet(left: Sequence[str]) -> None:
    """Watches nothing."""


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_in_one_process_failures_do_not_stop_the_others(tmp_path: Path) -> None:
    seen: list[list[str]] = []
    units = ["one", "refused", "bug", "two"]
    start = partial(support.chores.begin, tmp_path)
    failures = pool.run(units, [start], watch=lambda left: seen.append(list(left)))
    assert names(tmp_path) == set(units)
    assert str(failures["refused"]) == "not this one\ntry another"
    assert "KeyError: 'bug'" in str(failures["bug"])
    assert seen == [units[index:] for index in range(5)]


@pytest.mark.parametrize("unit", ["full", "raw full"])
def test_a_full_disk_stops_everything(tmp_path: Path, unit: str) -> None:
    start = partial(support.chores.begin, tmp_path)
    with pytest.raises(StorageError, match="full"):
        pool.run([unit, "never"], [start], watch=quiet)
    assert names(tmp_path) == {unit}


def test_a_full_memory_costs_one_unit_and_is_said_in_words(tmp_path: Path) -> None:
    start = partial(support.chores.begin, tmp_path)
    failures = pool.run(["memory", "after"], [start], watch=quiet)
    assert names(tmp_path) == {"memory", "after"}
    assert str(failures["memory"]).startswith("The memory of this machine")


def test_processes_share_the_work_and_one_that_dies_costs_one_unit(tmp_path: Path) -> None:
    units = ["a", "refused", "dies", "b", "c", "d"]
    start = partial(support.chores.begin, tmp_path)
    failures = pool.run(units, [start] * 2, watch=quiet)
    assert names(tmp_path) == set(units)
    assert set(failures) == {"refused", "dies"}
    assert str(failures["refused"]) == "not this one\ntry another"
    assert str(failures["dies"]) == pool.DIED
    assert len({(tmp_path / unit).read_text() for unit in units}) >= 2
    assert not multiprocessing.active_children()


def test_a_place_has_one_process_at_a_time_and_another_when_that_died(tmp_path: Path) -> None:
    starts = [partial(support.chores.begin_at, tmp_path, place) for place in ("gpu 0", "gpu 1")]
    failures = pool.run(["dies 1", "dies 2", "a", "b"], starts, watch=quiet)
    assert set(failures) == {"dies 1", "dies 2"}
    done = [line.rsplit(" ", 2) for line in (tmp_path / "places.txt").read_text().splitlines()]
    assert len(done) == 4
    assert {place.split()[1] for place, *_ in done} == {"0", "1"}


def test_a_worker_that_is_stopped_leaves_no_half_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "TICK", 0.1)

    def interrupt(left: Sequence[str]) -> None:
        if list(tmp_path.glob(".never.*/begun")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool.run(["half", "short"], [partial(support.chores.begin, tmp_path)] * 2, watch=interrupt)
    assert names(tmp_path) - {"short"} == {"half"}


def test_ctrl_c_ends_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "TICK", 0.1)

    def interrupt(left: Sequence[str]) -> None:
        if (tmp_path / "endless").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool.run(["endless", "short"], [partial(support.chores.begin, tmp_path)] * 2, watch=interrupt)
    assert not multiprocessing.active_children()


def test_ctrl_c_tells_all_processes_before_it_waits_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "TICK", 0.1)
    units = ["reluctant 1", "reluctant 2", "reluctant 3"]

    def interrupt(left: Sequence[str]) -> None:
        if all((tmp_path / unit).is_file() for unit in units):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool.run(units, [partial(support.chores.begin, tmp_path)] * 3, watch=interrupt)
    told = [float((tmp_path / unit).read_text()) for unit in units]
    assert max(told) - min(told) < 2


def test_a_worker_that_cannot_begin_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no kit"):
        pool.run(["a", "b"], [partial(support.chores.refuse, tmp_path)] * 2, watch=quiet)


def test_nothing_to_do(tmp_path: Path) -> None:
    assert pool.run([], [partial(support.chores.refuse, tmp_path)] * 2, watch=quiet) == {}


def test_a_bug_at_the_start_on_a_cluster_is_told_as_it_is() -> None:
    failure = cluster._do("token", {}.popitem, "unit")  # type: ignore[arg-type]
    assert failure is not None
    assert failure.fatal
    assert "KeyError" in str(failure.error)

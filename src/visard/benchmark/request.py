"""What a command asks of a benchmark's folder: where its units lie, whose they are, under which protocol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from visard.benchmark import job
from visard.benchmark.datasets import Audition, People
from visard.benchmark.leaks import ATTACKER
from visard.benchmark.paper import PROMPTS
from visard.benchmark.people import world_people, world_subjects
from visard.benchmark.protocol import (
    PROTOCOL_FILE,
    Lineup,
    Protocol,
    Sampling,
    arm_settings,
    build_protocol,
)
from visard.benchmark.table import TEST, Table
from visard.errors import InputError
from visard.kits import Kit


def home(out: Path, split: str) -> Path:
    """Where a split's units lie: the attacker's own people are apart, and a campaign finds them."""
    return out if split == TEST else out / ATTACKER


def people_to_report(place: Path, split: str, count: int) -> list[int]:
    """Whose units a report takes: the world's, or the first that a folder's benchmark has finished."""
    if Protocol.of(place).people:
        return sorted({each.unit.person for each in job.finished(place)})[:count]
    return world_subjects(split, count)


def people_to_ask(
    audition: Audition | None, split: str, count: int, strangers: int
) -> tuple[list[int], list[int]]:
    """Numbers of the people and of the gallery's strangers. Raises InputError."""
    if audition is None:
        return world_subjects(split, count), world_people("gallery", strangers)
    return audition.people.choose(split, count, strangers, audition)


def prompts_for(needed: Sequence[str], out: Path, otherwise: Sequence[str] = PROMPTS) -> tuple[str, ...]:
    """Those a benchmark in `out` has, if the needed ones are among them; else `otherwise`.

    So that a model is trained once for all tables, whichever command came first.
    """
    if (out / PROTOCOL_FILE).is_file():
        there = Protocol.of(out).sampling.prompts
        if set(needed) <= set(there):
            return there
    return tuple(otherwise)


def protocol_for(
    table: Table,
    kit: Kit,
    overrides: dict[str, Any],
    sampling: Sampling,
    lineup: Lineup,
    device: str,
    folk: People | None,
) -> Protocol:
    """The protocol of a table's units. Raises InputError when an option sets what the table varies."""
    given = _leaves(overrides)
    for arm in table.arms:
        clash = given & _leaves(arm_settings(arm))
        if clash:
            raise InputError(
                f"{table.name} decides {min(clash)} itself.", "Leave it out, or use visard bench main."
            )
    digest = folk.digest if folk is not None else ""
    return build_protocol(kit, overrides, sampling, lineup, device, digest)


def _leaves(table: Any, path: str = "") -> set[str]:
    """Dotted names of all values of a nested table."""
    if not isinstance(table, dict):
        return {path}
    return {leaf for name, value in table.items() for leaf in _leaves(value, f"{path}.{name}".strip("."))}

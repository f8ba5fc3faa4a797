"""What the main job must show for the method to be called working, item by item."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from visard.benchmark.protocol import NONE
from visard.benchmark.summary import ALL_PROMPTS, FSR, Row, Summary

ISM, ADA = "arcface", "adaface"
"""Families of the recognisers behind the paper's two measures of similarity."""
SIMILARITY = "similarity"
HIGH, MEDIUM, LOW = "0.1", "0.3", "0.5"
"""Arms of the privacy dial: values of rho."""

UNMEASURED = "not measured"
LEAST_LIKENESS = 0.75
LEAST_FACES = 0.95
LEAST_REDUCTION = 0.30


@dataclass(frozen=True)
class Check:
    """One item: what is demanded, what was measured, and whether that is enough.

    None: not measured, or intervals leave it open.
    """

    demand: str
    measured: str
    passed: bool | None

    @property
    def verdict(self) -> str:
        """In a word or two."""
        if self.passed is None:
            return UNMEASURED if self.measured == UNMEASURED else "not decided"
        return "passed" if self.passed else "FAILED"


def acceptance(summary: Summary, shared: Summary) -> list[Check]:
    """The items, over the mean of all prompts and, for similarities, pictures with a face.

    shared: the figures of the people whom every arm has. The dial compares means of arms, so it needs them.
    """
    return [*_undefended(summary), *_defended(summary), *_dial(shared)]


def _undefended(summary: Summary) -> Iterator[Check]:
    similarity, real = _row(summary, NONE, ISM, SIMILARITY), _row(summary, NONE, ISM, "real")
    demand = f"no defence: ISM at least {LEAST_LIKENESS:g} of real against real"
    if similarity and real:
        measured = f"{similarity.mean.value:.3f} of {real.mean.value:.3f}"
        yield Check(demand, measured, similarity.mean.value >= LEAST_LIKENESS * real.mean.value)
    else:
        yield _unknown(demand)
    faces = _row(summary, NONE, "", FSR)
    demand = f"no defence: FSR at least {LEAST_FACES:g}"
    if faces:
        yield Check(demand, _counted(faces), faces.mean.value >= LEAST_FACES)
    else:
        yield _unknown(demand)


def _defended(summary: Summary) -> Iterator[Check]:
    for name, judge in (("ISM", ISM), ("ADA", ADA)):
        row = _row(summary, HIGH, judge, SIMILARITY)
        demand = f"rho = {HIGH}: {name} at least {LEAST_REDUCTION:.0%} below no defence"
        if row and row.change:
            change = row.change
            interval = f"{change.value:+.0%} [{change.low:+.0%}, {change.high:+.0%}]"
            yield Check(demand, interval, change.value <= -LEAST_REDUCTION)
        else:
            yield _unknown(demand)
    yield keeps_faces(summary, HIGH)


def keeps_faces(summary: Summary, arm: str) -> Check:
    """A defended model draws as many pictures with a face as an undefended one, but for one in twenty."""
    mine, theirs = _row(summary, arm, "", FSR), _row(summary, NONE, "", FSR)
    demand = f"rho = {arm}: FSR at least {LEAST_FACES:g} of no defence"
    if not (mine and theirs):
        return _unknown(demand)
    enough = mine.mean.value >= LEAST_FACES * theirs.mean.value
    return Check(demand, f"{_counted(mine)} against {_counted(theirs)}", enough)


def _dial(summary: Summary) -> Iterator[Check]:
    yield rises(summary)
    mine, theirs = (_row(summary, arm, ISM, SIMILARITY) for arm in (HIGH, NONE))
    demand = f"ISM intervals of rho = {HIGH} and no defence do not touch"
    if mine and theirs:
        measured = " and ".join(f"[{row.mean.low:.3f}, {row.mean.high:.3f}]" for row in (mine, theirs))
        yield Check(demand, measured, mine.mean.apart(theirs.mean))
    else:
        yield _unknown(demand)


def rises(summary: Summary) -> Check:
    """The dial is one: more of rho, more likeness."""
    rows = [_row(summary, arm, ISM, SIMILARITY) for arm in (HIGH, MEDIUM, LOW, NONE)]
    demand = f"ISM rises along rho = {HIGH} < {MEDIUM} < {LOW} < no defence"
    found = [row.mean.value for row in rows if row]
    if len(found) < len(rows):
        return _unknown(demand)
    measured = ", ".join(f"{value:.3f}" for value in found)
    return Check(demand, measured, all(before < after for before, after in pairwise(found)))


def _row(summary: Summary, arm: str, recognizer: str, figure: str) -> Row | None:
    return summary.find(arm, ALL_PROMPTS, summary.member(recognizer), figure)


def _unknown(demand: str) -> Check:
    return Check(demand, UNMEASURED, None)


def _counted(row: Row) -> str:
    return f"{row.mean.value:.3f} ({row.faces} of {row.pictures})"

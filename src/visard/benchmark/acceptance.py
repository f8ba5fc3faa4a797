"""What the main job must show for the method to be called working, item by item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from visard.benchmark.measures import Measures
from visard.benchmark.per_person import Interval
from visard.benchmark.protocol import NONE
from visard.benchmark.summary import ALL_PROMPTS, FSR, Row, Summary
from visard.benchmark.table import ADA, ISM

SIMILARITY = ISM.key
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


def acceptance(measured: Measures) -> list[Check]:
    """The items, over the mean of all prompts and, for similarities, pictures with a face.

    Changes and the order of the dial are judged by intervals over the people whom every arm has; whether
    there is a likeness to lose, and faces, by what was counted.
    """
    return [*_undefended(measured.summary), *_defended(measured.summary), *_dial(measured)]


def below(interval: Interval, limit: float) -> bool | None:
    """Whether a figure is below a limit; None where its interval leaves it open, or there is none."""
    if interval.high < limit:
        return True
    return False if interval.low >= limit else None


def every(verdicts: Sequence[bool | None]) -> bool | None:
    """Whether all hold: False if one does not, None if one is open and none fails."""
    return False if False in verdicts else None if None in verdicts else True


def _undefended(summary: Summary) -> Iterator[Check]:
    similarity, real = _row(summary, NONE, SIMILARITY), _row(summary, NONE, "real")
    demand = f"no defence: ISM at least {LEAST_LIKENESS:g} of real against real"
    if similarity and real:
        measured = f"{similarity.mean.value:.3f} of {real.mean.value:.3f}"
        yield Check(demand, measured, similarity.mean.value >= LEAST_LIKENESS * real.mean.value)
    else:
        yield _unknown(demand)
    faces = _faces(summary, NONE)
    demand = f"no defence: FSR at least {LEAST_FACES:g}"
    if faces:
        yield Check(demand, _counted(faces), faces.mean.value >= LEAST_FACES)
    else:
        yield _unknown(demand)


def _defended(summary: Summary) -> Iterator[Check]:
    for name, figure in (("ISM", ISM), ("ADA", ADA)):
        row = _row(summary, HIGH, figure.key, *figure.of)
        demand = f"rho = {HIGH}: {name} at least {LEAST_REDUCTION:.0%} below no defence"
        if row and row.change:
            change = row.change
            interval = f"{change.value:+.0%} [{change.low:+.0%}, {change.high:+.0%}]"
            yield Check(demand, interval, below(change, -LEAST_REDUCTION))
        else:
            yield _unknown(demand)
    yield keeps_faces(summary, HIGH)


def keeps_faces(summary: Summary, arm: str) -> Check:
    """A defended model draws as many pictures with a face as an undefended one, but for one in twenty."""
    mine, theirs = _faces(summary, arm), _faces(summary, NONE)
    demand = f"rho = {arm}: FSR at least {LEAST_FACES:g} of no defence"
    if not (mine and theirs):
        return _unknown(demand)
    enough = mine.mean.value >= LEAST_FACES * theirs.mean.value
    return Check(demand, f"{_counted(mine)} against {_counted(theirs)}", enough)


def _dial(measured: Measures) -> Iterator[Check]:
    yield rises(measured)
    mine, theirs = (_row(measured.summary, arm, SIMILARITY) for arm in (HIGH, NONE))
    demand = f"ISM intervals of rho = {HIGH} and no defence do not touch"
    if mine and theirs:
        found = " and ".join(f"[{row.mean.low:.3f}, {row.mean.high:.3f}]" for row in (mine, theirs))
        apart = mine.mean.apart(theirs.mean)
        yield Check(demand, found, apart and mine.mean.value < theirs.mean.value)
    else:
        yield _unknown(demand)


def rises(measured: Measures) -> Check:
    """The dial is one: more of rho, more likeness, from step to step over the same people."""
    dial = (HIGH, MEDIUM, LOW, NONE)
    demand = f"ISM rises along rho = {HIGH} < {MEDIUM} < {LOW} < no defence"
    rows = [_row(measured.summary, arm, SIMILARITY) for arm in dial]
    steps = [measured.difference(less, more, ISM) for less, more in pairwise(dial)]
    found = [row.mean.value for row in rows if row]
    known = [step for step in steps if step]
    if len(found) < len(rows) or len(known) < len(steps):
        return _unknown(demand)
    least = max(known, key=lambda step: step.high)
    text = f"{', '.join(f'{value:.3f}' for value in found)}, the smallest step {-least.value:.3f} "
    text += f"[{-least.high:.3f}, {-least.low:.3f}]"
    verdicts = [below(step, 0.0) for step in known]
    return Check(demand, text, every(verdicts))


def _row(summary: Summary, arm: str, figure: str, family: str = "arcface") -> Row | None:
    return summary.find(arm, ALL_PROMPTS, summary.member(family), figure)


def _faces(summary: Summary, arm: str) -> Row | None:
    return summary.find(arm, ALL_PROMPTS, "", FSR)


def _unknown(demand: str) -> Check:
    return Check(demand, UNMEASURED, None)


def _counted(row: Row) -> str:
    return f"{row.mean.value:.3f} ({row.faces} of {row.pictures})"

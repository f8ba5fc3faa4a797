"""What the rules of distrust look at, and how one is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from inspect import isfunction
from types import ModuleType

from visard.audit.inputs import AuditSettings, ModelId, Person, Strangers
from visard.audit.result import ArmResult, JudgeCard, JudgeFigures
from visard.metrics.identification import finest

SIGNIFICANT = 0.05
RULE = "rule"
"""Where a check keeps what it is a rule of."""


@dataclass(frozen=True)
class Evidence:
    """What the rules look at; strangers: how many of them have a face in the gallery."""

    people: Sequence[Person]
    gallery: Strangers
    surrogates: Sequence[ModelId]
    judges: Sequence[JudgeCard]
    arms: Sequence[ArmResult]
    settings: AuditSettings
    strangers: int

    @property
    def fpir(self) -> float:
        """The false-positive rate of a newcomer's search: asked for, or the finest the strangers can show."""
        return finest(self.settings.fpir, self.strangers)

    @property
    def gallery_size(self) -> int:
        return len(self.people) + self.strangers

    def figures(self) -> Iterator[tuple[str, JudgeFigures]]:
        """Every judge's figures of every arm, and what to call them."""
        for arm in self.arms:
            for judge in arm.judges:
                yield f"{arm.key}, {judge.judge}", judge


Raised = Iterator[tuple[str, str]]
"""A message and the arm or judge it concerns, "" for the whole audit."""
Check = Callable[[Evidence], Raised]


@dataclass(frozen=True)
class Rule:
    """One reason for distrust and what to do about it."""

    code: str
    title: str
    advice: str
    check: Check


def rule(title: str, advice: str) -> Callable[[Check], Check]:
    """Makes a rule of a check, whose name is the flag's code; `rules_of` finds it in its file."""

    def make(check: Check) -> Check:
        code = check.__name__.replace("_", "-")
        vars(check)[RULE] = Rule(code, title, advice, check)
        return check

    return make


def code_of(check: Check) -> str:
    """The code of the flags that a rule's check raises."""
    code: str = vars(check)[RULE].code
    return code


def rules_of(kind: ModuleType) -> list[Rule]:
    """The rules of a file, in its order."""
    return [vars(each)[RULE] for each in vars(kind).values() if isfunction(each) and RULE in vars(each)]

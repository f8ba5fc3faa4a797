"""The attack: choices on the attacker's own people, figures on the people under attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from visard.attacks.evidence import Evidence
from visard.attacks.eyes import Eyes
from visard.attacks.inputs import (
    FEWEST_TO_LEARN_FROM,
    AttackSettings,
    Knowledge,
    Pictures,
    Source,
    check,
)
from visard.attacks.plan import Plan, search
from visard.attacks.result import LEARNED, MEANING, TIERS, AttackTier, LearnedFrom, TakenTogether
from visard.attacks.searches import Searches, Thresholds, share_of_people, thresholds
from visard.attacks.tiers import Attacker, Choice
from visard.errors import InputError
from visard.metrics.bootstrap import Estimate, SubjectBootstrap
from visard.progress import Progress, silent

PARTS = (4, 2)
"""Into how many the training people are cut, to see what learning from one part leads to."""


def attack(
    subjects: Mapping[str, Pictures],
    gallery: Mapping[str, Source],
    knowledge: Knowledge,
    eyes: Eyes,
    *,
    tiers: Sequence[str] = TIERS,
    settings: AttackSettings | None = None,
    arm: str = "",
    exchanged: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> list[AttackTier]:
    """Link drawn pictures to people, tier upon tier.

    subjects: name -> pictures by source; gallery: name -> real photos, the subjects' among strangers'.
    `tiers` are those to report; lower ones are run on the way. Each tier's attack is the one that does best
    on `knowledge.dev`. exchanged: subject -> the subject whose pictures stand under that name, who is then
    not in the gallery: what is linked is chance. Raises InputError.
    """
    unknown = [tier for tier in tiers if tier not in TIERS]
    if unknown or not tiers:
        raise InputError(
            f"There is no attack tier {unknown[0]}." if unknown else "No attack tier was asked for.",
            f"Choose among {', '.join(TIERS)}.",
        )
    check(subjects, gallery, knowledge, tiers)
    chosen = settings or AttackSettings()
    evidence = Evidence(eyes, subjects, gallery, knowledge, progress, exchanged)
    attacker = Attacker(evidence, chosen)
    results, plan = [], None
    wanted = [tier for tier in TIERS if tier <= max(tiers)]
    for done, tier in enumerate(wanted):
        choice = attacker.choose(tier, plan)
        if tier in tiers:
            results.append(_judged(tier, choice, plan, attacker, len(gallery), arm))
        plan = choice.plan
        progress("tiers", done + 1, len(wanted))
    return results


def _judged(
    tier: str, choice: Choice, before: Plan | None, attacker: Attacker, gallery: int, arm: str
) -> AttackTier:
    evidence, settings, plan = attacker.evidence, attacker.settings, choice.plan
    people = len(evidence.parties["test"])
    bench = _Bench(attacker)
    found, limits = bench.searches(plan), bench.thresholds(plan)
    absent = bench.searches(plan, enrolled=False) if people > 1 else None
    control, false_positives = (None, None) if absent is None else bench.controls(absent, limits)
    together = [
        TakenTogether(each.k, str(each), bench.linked(bench.searches(each), bench.thresholds(each)))
        for each in attacker.together(tier, plan, before)
    ]
    return AttackTier(
        tier=tier,
        description=f"{MEANING[tier]}: {plan}",
        linked=bench.linked(found, limits),
        count=people,
        arm=arm,
        attack=str(plan),
        people=people,
        gallery=gallery,
        k=plan.k,
        fpir=attacker.fpir,
        asked_fpir=settings.fpir,
        fmr=settings.fmr,
        dev=len(evidence.parties["dev"]),
        train=len(evidence.parties["train"]) if tier >= LEARNED else 0,
        first=bench.share(found.naming, found.owner, -torch.inf, torch.full((settings.draws,), -torch.inf)),
        matched=bench.share(found.own, found.owner, limits.match, limits.match_draws),
        ever=bench.ever(found, limits),
        at_rate=None if absent is None else bench.at_rate(absent, found),
        control=control,
        false_positives=false_positives,
        together=together,
        learned_from=_learning(attacker, before) if tier == LEARNED else [],
        tried=choice.tried,
    )


def _learning(attacker: Attacker, before: Plan | None) -> list[LearnedFrom]:
    """What parts of the training people lead to, smallest first."""
    found = []
    everybody = len(attacker.evidence.parties["train"])
    for people in (everybody // part for part in PARTS if everybody // part >= FEWEST_TO_LEARN_FROM):
        student = Attacker(attacker.evidence.learning_from(people), attacker.settings)
        plan, bench = student.choose(LEARNED, before).plan, _Bench(student)
        linked = bench.linked(bench.searches(plan), bench.thresholds(plan))
        found.append(LearnedFrom(people, str(plan), linked))
    return found


class _Bench:
    """Figures on the people under attack; all plans of a tier share the bootstrap's draws of people."""

    def __init__(self, attacker: Attacker) -> None:
        self.evidence, self.settings, self.fpir = attacker.evidence, attacker.settings, attacker.fpir
        self.generator = torch.Generator().manual_seed(self.settings.seed)
        self.people = len(self.evidence.parties["test"])
        self.bootstrap = SubjectBootstrap(self.people, self.settings.draws, self.generator)

    def searches(self, plan: Plan, *, enrolled: bool = True) -> Searches:
        """The searches with the people's pictures; their own entries are taken out unless `enrolled`."""
        return search(plan, self.evidence, "test", "test", enrolled=enrolled)

    def thresholds(self, plan: Plan) -> Thresholds:
        """Thresholds by the development people, who are not enrolled there."""
        return self._thresholds(search(plan, self.evidence, "dev", "test"))

    def linked(self, found: Searches, limits: Thresholds) -> Estimate:
        return self.share(found.naming, found.owner, limits.search, limits.search_draws)

    def ever(self, found: Searches, limits: Thresholds) -> Estimate:
        """Share of people whom at least one of their searches links."""
        people, owner = torch.unique(found.owner, return_inverse=True)
        nothing = torch.full((len(people),), -torch.inf, dtype=found.naming.dtype)
        best = nothing.scatter_reduce(0, owner, found.naming, "amax")
        return self.share(best, people, limits.search, limits.search_draws)

    def at_rate(self, absent: Searches, found: Searches) -> Estimate:
        """What is linked were the threshold set on these very people, by searches without their entries."""
        return self.linked(found, self._thresholds(absent))

    def _thresholds(self, strangers: Searches) -> Thresholds:
        settings = self.settings
        return thresholds(
            strangers, fpir=self.fpir, fmr=settings.fmr, draws=settings.draws, generator=self.generator
        )

    def controls(self, absent: Searches, limits: Thresholds) -> tuple[Estimate, Estimate]:
        """Other people's pictures in a person's place: how often they name the person, and anybody."""
        top, column = absent.scores.max(1)
        anybody = self.share(top, absent.owner, limits.search, limits.search_draws)
        # Of the S - 1 people whose place a picture may take, a search names at most one.
        subject = top.masked_fill(column >= self.people, -torch.inf)
        named = self.share(subject, absent.owner, limits.search, limits.search_draws)
        places = self.people - 1
        return (
            Estimate(named.value / places, named.low / places, named.high / places, named.n, named.unit),
            anybody,
        )

    def share(self, scores: Tensor, owner: Tensor, threshold: float, redraws: Tensor) -> Estimate:
        return share_of_people(scores, owner, threshold, redraws, self.bootstrap)

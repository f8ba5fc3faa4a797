"""The gate of a method: more of the person than attributes alone, and less linked than no defence.

How much of the person is seen goes by how faces are described if the kit has a describer, else by attributes.

A defence that passes only one half has done nothing: words alone are linked to nobody, and no defence at all
resembles most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from visard.audit.claim import TIER
from visard.audit.flags import JUDGE_WAS_SURROGATE, REPULSION, STRANGERS_NAMED
from visard.audit.inputs import AuditSettings
from visard.audit.result import ArmResult, Flag, TierResult, Verdict

SHOWN = {
    True: "it shows more of the person than attributes alone",
    False: "it is not shown to resemble the person more than attributes alone",
}
APPEARANCE, ATTRIBUTES = "by how its faces are described", "by attributes that agree"
"""What resemblance was judged by: the finer measure where the kit has it."""


DOUBTFUL = (REPULSION, STRANGERS_NAMED, JUDGE_WAS_SURROGATE)
"""Codes of flags with which an arm that is linked less has shown nothing by that."""


def verdicts(arms: Sequence[ArmResult], flags: Sequence[Flag], settings: AuditSettings) -> list[Verdict]:
    """One verdict for each arm that is no control.

    Both comparisons by their 95 % intervals, and both over all pictures as well as over those with a face:
    else whoever destroys faces would be linked less, and judged by the few that are left.
    """
    controls = {settings.undefended, settings.attributes_only, settings.chance}
    return [_verdict(arm, _doubts(arm, flags)) for arm in arms if arm.arm not in controls]


def under_attack(verdict: Verdict, tiers: Sequence[TierResult], undefended: str) -> Verdict:
    """The verdict once stronger attacks were made: each must link less of this arm than of no defence.

    By intervals that do not touch. Where no defence was not attacked, nothing is decided.
    """
    rows = [row for row in tiers if (row.arm, row.prompt) == (verdict.arm, verdict.prompt)]
    plain = {row.tier: row for row in tiers if (row.arm, row.prompt) == (undefended, verdict.prompt)}
    if not rows or verdict.arm == undefended:
        return verdict
    compared = [(row, _below(row, plain.get(row.tier))) for row in sorted(rows, key=lambda row: row.tier)]
    less, said = verdict.links_less, ""
    if failed := [row for row, below in compared if below is False]:
        row, less = failed[-1], False
        said = (
            f" At attack tier {row.tier} it is not shown to be linked less: {row.linked.value:.0%} against "
            f"{plain[row.tier].linked.value:.0%}."
        )
    elif unknown := [row.tier for row, below in compared if below is None]:
        less = less and None
        said = f" Attack tier {', '.join(unknown)} was not made on this arm and the undefended one alike."
    elif less:
        said = f" The same holds up to attack tier {compared[-1][0].tier}."
    return replace(verdict, links_less=less, sentence=f"{verdict.sentence}{said}")


def _below(row: TierResult, other: TierResult | None) -> bool | None:
    """Whether an attack links less of one arm than of another; None where it was not made on both."""
    if other is None or math.isnan(row.linked.value) or math.isnan(other.linked.value):
        return None
    return row.linked.high < other.linked.low


def _doubts(arm: ArmResult, flags: Sequence[Flag]) -> list[str]:
    """Titles of the flags that concern how little of it is linked."""
    places = {f"{arm.key}, {judge.judge}" for judge in arm.judges} | {arm.strongest.judge}
    return list(dict.fromkeys(flag.title for flag in flags if flag.code in DOUBTFUL and flag.where in places))


def _verdict(arm: ArmResult, doubts: list[str]) -> Verdict:
    change = arm.strongest.difference
    lift, measure = arm.resemblance.lift, ATTRIBUTES
    if arm.resemblance.appearance is not None:
        lift, measure = arm.resemblance.appearance.lift, APPEARANCE
    less = more = None
    shown = "there is no attributes-only arm to compare resemblance with"
    if change is not None:
        less = all(high < 0 for _, high in (change.overall_interval, change.detected_interval))
    if lift is not None and math.isnan(lift.photos):
        shown = "what real photos of the person, or pictures by attributes alone, show is not known"
    elif lift is not None and lift.photos <= 0:
        shown = f"not even real photos show more of the person than attributes alone, {measure}"
    elif lift is not None:
        more = all(low > 0 for low, _ in (lift.interval, lift.overall_interval))
        shown = f"{SHOWN[more]}, {measure}"
    linked = {
        True: f"at attack tier {TIER} it is linked less than the undefended arm",
        False: f"at attack tier {TIER} it is not shown to be linked less than the undefended arm",
        None: "there is no undefended arm to compare linkage with",
    }[less]
    faces = f"{arm.faces.faces} of {arm.pictures} pictures show a face"
    sentence = f"{linked[0].upper()}{linked[1:]}, and {shown}; {faces}."
    if doubts:
        sentence += f" That is not to be relied on: {'; '.join(doubts).lower()}."
    return Verdict(arm.arm, arm.prompt, less, more, sentence, doubts)

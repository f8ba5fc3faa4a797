"""The sentence on top of the report.

What was measured, under which attack, with which uncertainty. Never a promise.
"""

from __future__ import annotations

from collections.abc import Sequence

from visard.audit.inputs import AuditSettings
from visard.audit.result import ArmResult
from visard.metrics.bootstrap import Estimate

TIER = "T0"
TIER_MEANING = "one picture at a time, face recognisers that took no part in training"


def claims(arms: Sequence[ArmResult], gallery: int, people: int, settings: AuditSettings) -> list[str]:
    """One sentence a defended arm, the most linked first.

    Control arms speak only if nothing else was audited.
    """
    controls = {settings.undefended: "undefended", settings.attributes_only: "attributes alone"}
    audited = [arm for arm in arms if arm.arm not in controls] or list(arms)
    whom = "one person" if people == 1 else f"{people} people"
    sentences = []
    for arm in sorted(audited, key=lambda arm: -arm.strongest.linked.value):
        judge = arm.strongest
        prompt = f" (“{arm.prompt}”)" if arm.prompt else ""
        sentence = (
            f"At attack tier {TIER}, in a gallery of {gallery}, at a false-positive rate of "
            f"{settings.fpir:g}, {share(judge.linked)} of the {arm.pictures} “{arm.arm}” pictures{prompt} "
            f"of {whom} are linked by the strongest judge, {judge.judge}"
        )
        for other in arms:
            if other.arm in controls and other.prompt == arm.prompt and other is not arm:
                same = next(figures for figures in other.judges if figures.judge == judge.judge)
                sentence += f"; {controls[other.arm]} {share(same.linked)}"
        sentences.append(sentence + ".")
    return sentences


def share(estimate: Estimate) -> str:
    """ "12.5 % [95 % CI 3.1–28.0 %]"."""
    low, high = 100 * estimate.low, 100 * estimate.high
    return f"{100 * estimate.value:.1f} % [95 % CI {low:.1f}–{high:.1f} %]"

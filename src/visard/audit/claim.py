"""The sentence on top of the report.

What was measured, under which attack, with which uncertainty. Never a promise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from visard.audit.inputs import AuditSettings
from visard.audit.result import ArmResult, JudgeFigures, TierResult
from visard.metrics.bootstrap import Estimate
from visard.metrics.identification import finest

TIER = "T0"
TIER_MEANING = "one picture at a time, face recognisers that took no part in training"


def claims(arms: Sequence[ArmResult], gallery: int, people: int, settings: AuditSettings) -> list[str]:
    """One sentence a defended arm, the most linked first.

    Control arms speak only if nothing else was audited.
    """
    controls, fpir = _controls(settings), finest(settings.fpir, gallery - people)
    audited = [arm for arm in arms if arm.arm not in controls] or list(arms)
    sentences = []
    strongest = {arm.key: max(arm.judges, key=lambda each: _rank(each, people)) for arm in audited}
    for arm in sorted(audited, key=lambda arm: -_one_out(strongest[arm.key], people).value):
        best = strongest[arm.key]
        others = [other for other in arms if _compares(arm, other, controls)]
        prompt = f" (“{arm.prompt}”)" if arm.prompt else ""
        linked = (
            f"of the {arm.pictures} “{arm.arm}” pictures{prompt} of one person are linked"
            if people == 1
            else f"of {people} subjects are linked by “{arm.arm}” pictures{prompt}"
        )
        value = share(_one_out(best, people))
        sentence = (
            f"At attack tier {TIER}, in a gallery of {gallery}, with 1 picture out, {_rate(fpir)}, {value} "
            f"{linked} by the strongest judge, {best.judge}"
        )
        for other in others:
            sentence += f"; {controls[other.arm]} {share(_one_out(_same_judge(other, best), people))}"
        sentences.append(sentence + "." + _more_out(arm, best, others, controls, people))
    return sentences


def tier_claims(tiers: Sequence[TierResult], settings: AuditSettings) -> list[str]:
    """The strongest tier in one sentence a defended arm; a tier in between speaks if it links more."""
    controls = _controls(settings)
    sentences = []
    for name, prompt in dict.fromkeys((row.arm, row.prompt) for row in tiers if row.arm not in controls):
        rows = [row for row in tiers if (row.arm, row.prompt) == (name, prompt)]
        known = [row for row in rows if not math.isnan(row.linked.value)] or rows
        most = max(known, key=lambda row: (row.linked.value, row.tier))
        said = f" (“{prompt}”)" if prompt else ""
        pictures = "1 picture" if most.k == 1 else f"{most.k} pictures"
        stated = [
            f"in a gallery of {most.gallery}" if most.gallery else "",
            f"with {pictures} out" if most.k else "",
            _rate(most.fpir) if most.fpir else "",
        ]
        setting = "".join(f", {part}" for part in stated if part)
        sentence = f"At attack tier {most.tier} ({most.description}){setting}, {share(most.linked)}"
        sentence += f" of “{name}”{said} are linked" if name else " are linked"
        for row in tiers:
            if (row.tier, row.prompt) == (most.tier, prompt) and row.arm in controls:
                sentence += f"; {controls[row.arm]} {share(row.linked)}"
        sentences.append(sentence + ".")
    return sentences


def _rate(fpir: float) -> str:
    return f"at a threshold set for a false-positive rate of {fpir:.2g}"


def share(estimate: Estimate) -> str:
    """ "12.5 % [95 % CI 3.1–28.0 %]"."""
    low, high = 100 * estimate.low, 100 * estimate.high
    return f"{100 * estimate.value:.1f} % [95 % CI {low:.1f}–{high:.1f} %]"


def _controls(settings: AuditSettings) -> dict[str, str]:
    return {
        settings.undefended: "undefended",
        settings.attributes_only: "attributes alone",
        settings.chance: "strangers' models",
    }


def _compares(arm: ArmResult, other: ArmResult, controls: dict[str, str]) -> bool:
    return other.arm in controls and other.prompt == arm.prompt and other is not arm


def _same_judge(arm: ArmResult, figures: JudgeFigures) -> JudgeFigures:
    return next(each for each in arm.judges if each.judge == figures.judge)


def _one_out(figures: JudgeFigures, people: int) -> Estimate:
    """Share of the subjects linked by one picture; of one person's pictures where there is but one."""
    by_subject = (row.people for row in figures.linked_in if row.k == 1 and people > 1)
    return next(by_subject, figures.linked)


def _rank(figures: JudgeFigures, people: int) -> tuple[float, float]:
    """By what is said of it; of equal ones by how similar the pictures are."""
    return _one_out(figures, people).value, figures.similarity.overall


def _more_out(
    arm: ArmResult,
    best: JudgeFigures,
    others: Sequence[ArmResult],
    controls: dict[str, str],
    people: int,
) -> str:
    """The same for the largest number of pictures out that everybody has, where that is more than one.

    By the judge that links most in so many, who may be another one.
    """
    k = max((k for judge in arm.judges for k in _of_everybody(judge, people)), default=1)
    if k == 1:
        return ""
    able = [judge for judge in arm.judges if k in _of_everybody(judge, people)]
    most = max(able, key=lambda judge: (_of_everybody(judge, people)[k].value, judge is best))
    sentence = f" With {k} pictures out: {share(_of_everybody(most, people)[k])}"
    if most is not best:
        sentence += f" by {most.judge}"
    for other in others:
        same = _of_everybody(_same_judge(other, most), people)
        if k in same:
            sentence += f"; {controls[other.arm]} {share(same[k])}"
    return sentence + "."


def _of_everybody(figures: JudgeFigures, people: int) -> dict[int, Estimate]:
    """Shares linked in k pictures, by the k of which nobody has fewer."""
    return {row.k: row.people for row in figures.linked_in if people in (1, row.people.n)}

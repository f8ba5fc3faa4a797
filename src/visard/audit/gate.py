"""The gate of a method: more of the person than attributes alone, and less linked than no defence.

A defence that passes only one half has done nothing: words alone are linked to nobody, and no defence at all
resembles most.
"""

from __future__ import annotations

from collections.abc import Sequence

from visard.audit.inputs import AuditSettings
from visard.audit.result import ArmResult, Verdict


def verdicts(arms: Sequence[ArmResult], settings: AuditSettings) -> list[Verdict]:
    """One verdict for each arm that is no control.

    Both comparisons by their 95 % intervals, and both over all pictures as well as over those with a face:
    else whoever destroys faces would be linked less, and judged by the few that are left.
    """
    controls = {settings.undefended, settings.attributes_only, settings.chance}
    return [_verdict(arm) for arm in arms if arm.arm not in controls]


def _verdict(arm: ArmResult) -> Verdict:
    change, lift = arm.strongest.difference, arm.resemblance.lift
    less = (
        None
        if change is None
        else all(high < 0 for _, high in (change.overall_interval, change.detected_interval))
    )
    more = None if lift is None else all(low > 0 for low, _ in (lift.interval, lift.overall_interval))
    linked = {
        True: "it is linked less than the undefended arm",
        False: "it is not shown to be linked less than the undefended arm",
        None: "there is no undefended arm to compare linkage with",
    }[less]
    shown = {
        True: "it shows more of the person than attributes alone",
        False: "it is not shown to resemble the person more than attributes alone",
        None: "there is no attributes-only arm to compare resemblance with",
    }[more]
    faces = f"{arm.faces.faces} of {arm.pictures} pictures show a face"
    sentence = f"{linked[0].upper()}{linked[1:]}, and {shown}; {faces}."
    return Verdict(arm.arm, arm.prompt, less, more, sentence)

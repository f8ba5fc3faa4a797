"""The gate of a method: more of the person than attributes alone, and less linked than no defence.

How much of the person is seen goes by how faces are described if the kit has a describer, else by attributes.

A defence that passes only one half has done nothing: words alone are linked to nobody, and no defence at all
resembles most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from visard.audit.inputs import AuditSettings
from visard.audit.result import ArmResult, Verdict

SHOWN = {
    True: "it shows more of the person than attributes alone",
    False: "it is not shown to resemble the person more than attributes alone",
}
APPEARANCE, ATTRIBUTES = "by how its faces are described", "by attributes that agree"
"""What resemblance was judged by: the finer measure where the kit has it."""


def verdicts(arms: Sequence[ArmResult], settings: AuditSettings) -> list[Verdict]:
    """One verdict for each arm that is no control.

    Both comparisons by their 95 % intervals, and both over all pictures as well as over those with a face:
    else whoever destroys faces would be linked less, and judged by the few that are left.
    """
    controls = {settings.undefended, settings.attributes_only, settings.chance}
    return [_verdict(arm) for arm in arms if arm.arm not in controls]


def _verdict(arm: ArmResult) -> Verdict:
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
        True: "it is linked less than the undefended arm",
        False: "it is not shown to be linked less than the undefended arm",
        None: "there is no undefended arm to compare linkage with",
    }[less]
    faces = f"{arm.faces.faces} of {arm.pictures} pictures show a face"
    sentence = f"{linked[0].upper()}{linked[1:]}, and {shown}; {faces}."
    return Verdict(arm.arm, arm.prompt, less, more, sentence)

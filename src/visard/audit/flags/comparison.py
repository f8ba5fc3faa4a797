"""Whether the arms may be compared: with an undefended one that shows the person, face for face."""

from __future__ import annotations

from visard.audit.flags.rules import Evidence, Raised, rule

FACES_KEPT = 0.9
"""Of the undefended arm's share of pictures with a face."""


@rule(
    "Nothing to compare with",
    "Personalise once without defence, same photos and steps, and audit its pictures as the arm “none”.",
)
def no_undefended(seen: Evidence) -> Raised:
    name = seen.settings.undefended
    compared = {arm.prompt for arm in seen.arms if arm.arm == name}
    for prompt in dict.fromkeys(arm.prompt for arm in seen.arms):
        if prompt not in compared:
            yield f"There is no arm “{name}”: a low share may just be a failed personalisation.", prompt


@rule(
    "Even undefended pictures are rarely linked",
    "Train the undefended model for longer, or with better photos, until its pictures resemble the person.",
)
def undefended_accuracy(seen: Evidence) -> Raised:
    for arm in seen.arms:
        if arm.arm != seen.settings.undefended:
            continue
        linked = arm.strongest.linked.value
        unseen = sum(not any(pictures) for pictures in arm.strongest.linked_pictures)
        if linked >= seen.settings.expected_undefended and unseen:
            yield (
                f"Of {unseen} of {len(seen.people)} people not one picture is linked: with them nothing can "
                "be seen of what a defence does.",
                arm.key,
            )
        elif linked < seen.settings.expected_undefended:
            yield (
                f"{linked:.0%} are linked, expected {seen.settings.expected_undefended:.0%}: the "
                "personalisation or the attack is too weak to show what a defence does.",
                arm.key,
            )


@rule(
    "Detected-only and all-image figures disagree",
    "Read both columns: the defence may break faces instead of hiding whose they are.",
)
def counting(seen: Evidence) -> Raised:
    for where, judge in seen.figures():
        change = judge.difference
        if change is not None and _sign(change.overall_interval) != _sign(change.detected_interval):
            yield (
                f"Against the undefended arm the linked share changes by {change.overall:+.0%} over all "
                f"pictures, but by {change.detected:+.0%} over those with a face: part of the change is "
                "lost faces, not lost identity.",
                where,
            )


@rule(
    "Faces are lost",
    "Read the columns of the faces as well, and look at the pictures: whoever draws no face is linked to "
    "nobody.",
)
def lost_faces(seen: Evidence) -> Raised:
    undefended = {arm.prompt: arm.faces for arm in seen.arms if arm.arm == seen.settings.undefended}
    for arm in seen.arms:
        other = undefended.get(arm.prompt)
        if other is not None and arm.faces.rate < FACES_KEPT * other.rate:
            yield (
                f"{arm.faces.faces} of {arm.pictures} pictures show a face, of the undefended ones "
                f"{other.faces} of {other.pictures}.",
                arm.key,
            )


def _sign(interval: tuple[float, float]) -> int:
    """Below zero, above it, or neither."""
    low, high = interval
    return -1 if high < 0 else 1 if low > 0 else 0

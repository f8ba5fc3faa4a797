"""Whether there are enough strangers, people and faces to say anything."""

from __future__ import annotations

import math

from visard.audit.flags.rules import SIGNIFICANT, Evidence, Raised, rule

ENOUGH_PEOPLE = 5


@rule(
    "The gallery is too small for the false-positive rate",
    "Add strangers, or ask for a larger false-positive rate (--fpir).",
)
def few_strangers(seen: Evidence) -> Raised:
    asked = seen.settings.fpir
    if seen.fpir > asked:
        yield (
            f"{seen.strangers} strangers cannot show a rate of {asked:.1%}, however many photos there are of "
            f"each: those of one person err together. It is {seen.fpir:.1%}; at least "
            f"{math.ceil(1 / asked) - 1} are needed.",
            "",
        )


@rule(
    "The gallery is too small to see repulsion",
    f"Add strangers, {round(1 / SIGNIFICANT)} at least, or audit several people together.",
)
def repulsion_unseen(seen: Evidence) -> Raised:
    if len(seen.people) == 1 and 1 / (seen.strangers + 1) >= SIGNIFICANT:
        yield (
            f"Among {seen.strangers} strangers even the last place may be chance: whether the person is "
            "pushed away cannot be told.",
            "",
        )


@rule(
    "Few people",
    "Audit more people before saying anything of others than these.",
)
def few_people(seen: Evidence) -> Raised:
    if 1 < len(seen.people) < ENOUGH_PEOPLE:
        yield f"Intervals from {len(seen.people)} people are rough, and those of shares all but empty.", ""


@rule("Too few faces", "Generate more pictures, with prompts that show the face.")
def few_faces(seen: Evidence) -> Raised:
    for arm in seen.arms:
        if arm.faces.faces < seen.settings.minimum_faces:
            yield (
                f"{arm.faces.faces} of {arm.faces.pictures} pictures show a face; fewer than "
                f"{seen.settings.minimum_faces} carry no conclusion.",
                arm.key,
            )

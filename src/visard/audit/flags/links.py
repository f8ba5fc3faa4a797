"""Links that should not be there: to strangers, to fellows, by chance; and repulsion."""

from __future__ import annotations

from visard.audit.flags.rules import SIGNIFICANT, Evidence, Raised, rule
from visard.metrics.bootstrap import Estimate

TIMES_NOMINAL = 5
"""How many times the false-positive rate a wrong name may appear before thresholds are in doubt."""


@rule(
    "The person is less similar than strangers",
    "Choose a lower strength: being pushed away from oneself is a trace as well. Read D_sys, not AUC.",
)
def repulsion(seen: Evidence) -> Raised:
    several = len(seen.people) > 1
    rejects = SIGNIFICANT / 2 if several else SIGNIFICANT  # two tests, or one
    for where, judge in seen.figures():
        lowest = judge.lowest
        if judge.auc_same_pictures < 0.5 and judge.repulsion_p < rejects:
            yield (
                f"AUC {judge.auc_same_pictures:.2f} against strangers on the same pictures, "
                f"p = {judge.repulsion_p:.3f}. Whoever looks for the LEAST similar identity finds the "
                "person.",
                where,
            )
        elif several and lowest.p_value < rejects:
            yield (
                f"{lowest.count} of {lowest.people} people are among the {lowest.share:.1%} of identities "
                f"least similar to their pictures, p = {lowest.p_value:.2g}. Whoever looks for the LEAST "
                "similar identity finds these people.",
                where,
            )


@rule(
    "Pictures are taken for somebody else",
    "Look at whom they name: a picture that passes for a real stranger harms that stranger. Thresholds and "
    "shares of this judge are not to be relied on.",
)
def strangers_named(seen: Evidence) -> Raised:
    for where, judge in seen.figures():
        allowed, named = seen.fpir, judge.names_another
        if _beyond(named, allowed) and named.value > TIMES_NOMINAL * allowed:
            yield (
                f"{named.value:.0%} of the faces name another identity, where "
                f"{allowed:.1%} were allowed: thresholds from real photos do not hold on these "
                "pictures.",
                where,
            )


@rule(
    "Exchanged labels are linked as well",
    "Check that each person's folder holds that person, and that the models were not trained on each other's "
    "photos.",
)
def shuffled_labels(seen: Evidence) -> Raised:
    for where, judge in seen.figures():
        chance = seen.fpir * (len(seen.people) - 1) / max(1, seen.gallery_size - 1)
        if _beyond(judge.names_fellow, chance):
            yield (
                f"{judge.names_fellow.value:.1%} of the faces name another of the audited people, where "
                f"{chance:.2%} would be chance: the judge links what does not belong together.",
                where,
            )


@rule(
    "Other people's models are linked to the person",
    "Something but the person links these pictures: a background, a style, a base model's favourite face. "
    "Find it before believing any other arm.",
)
def chance_linked(seen: Evidence) -> Raised:
    for arm in seen.arms:
        # Any of the gallery may be named, not only this one; by any of the judges, of whom one is chosen.
        chance = seen.fpir / seen.gallery_size * len(arm.judges)
        if arm.arm == seen.settings.chance and _beyond(arm.strongest.linked, chance):
            yield f"{arm.strongest.linked.value:.1%} are linked; {chance:.2%} would be chance.", arm.key


def _beyond(share: Estimate, chance: float) -> bool:
    """Whether a share is more than chance: by its interval, or by Markov's inequality.

    P(share >= v) <= chance / v, whatever hangs together: it tells of two people too, whose interval cannot.
    """
    return share.low > chance or chance < SIGNIFICANT * share.value

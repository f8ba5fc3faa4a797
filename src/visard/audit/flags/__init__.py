"""When the audit distrusts itself. One raised flag marks the whole report.

A file holds the rules of one kind; a new rule is one more function in one of them.
"""

from __future__ import annotations

from visard.audit.flags import comparison, copies, judges, links, sizes
from visard.audit.flags.rules import Evidence, code_of, rules_of
from visard.audit.flags.tiers import TIER_ORDER, tier_flags
from visard.audit.result import Flag

__all__ = [
    "JUDGE_WAS_SURROGATE",
    "KINDS",
    "REPULSION",
    "STRANGERS_NAMED",
    "TIER_ORDER",
    "Evidence",
    "raised",
    "rules_of",
    "tier_flags",
    "unchecked",
]

KINDS = (judges, sizes, copies, comparison, links)
"""The files of rules, in the order in which a report shows what they raise."""
JUDGE_WAS_SURROGATE, REPULSION, STRANGERS_NAMED = map(
    code_of, (judges.judge_was_surrogate, links.repulsion, links.strangers_named)
)


def raised(evidence: Evidence) -> list[Flag]:
    """The flags of all rules."""
    return [
        Flag(each.code, each.title, message, where, each.advice)
        for kind in KINDS
        for each in rules_of(kind)
        for message, where in each.check(evidence)
    ]


def unchecked(evidence: Evidence) -> dict[str, str]:
    """Checks that could not be made: of what -> what it would take."""
    unknown = [model.name for model in evidence.surrogates if not model.family]
    chance = evidence.settings.chance
    takes = {
        "whether a judge took part in training": (
            bool(evidence.surrogates),
            "the run that the pictures come from (--run), or what it was trained against",
        ),
        f"whether a judge is of the family of {' or '.join(unknown)}": (
            not unknown,
            "a kit with the weights of these, or their families",
        ),
        "whether reference, gallery or pictures hold training photos": (
            all(person.training_photos is not None for person in evidence.people),
            "the photos that the model was trained on (--training-photos)",
        ),
        "whether other people's models are linked as well": (
            any(arm.arm == chance for arm in evidence.arms),
            f"pictures that such models drew, as the arm “{chance}”",
        ),
    }
    return {check: missing for check, (made, missing) in takes.items() if not made}

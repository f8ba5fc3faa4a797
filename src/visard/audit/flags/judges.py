"""Whether the judges may judge: what they took part in, and how well they know real faces."""

from __future__ import annotations

from visard.audit.bench import ENOUGH_ENROLLED
from visard.audit.flags.rules import Evidence, Raised, rule


@rule(
    "A judge took part in training",
    "Leave this judge out, or train again without it: only recognisers that no training has seen may judge.",
)
def judge_was_surrogate(seen: Evidence) -> Raised:
    for judge in seen.judges:
        for model in seen.surrogates:
            if model.name == judge.name or (model.sha256 and model.sha256 == judge.sha256):
                yield (
                    f"The pictures were optimised against {model.name}: its verdict speaks for no other "
                    "recogniser.",
                    judge.name,
                )
                break


@rule(
    "A judge is of a surrogate's family",
    "Believe the judges of other families, and add one if there is none.",
)
def judge_family(seen: Evidence) -> Raised:
    surrogates = {judge for _, judge in judge_was_surrogate(seen)}
    for judge in seen.judges:
        family = [model.name for model in seen.surrogates if model.family and model.family == judge.family]
        if family and judge.name not in surrogates:
            yield (
                f"{judge.name} and {family[0]}, used in training, are both {judge.family}. A defence carries "
                "over within a family far better than beyond it.",
                judge.name,
            )


@rule(
    "A judge links too few real photos",
    "Use a judge suited to these photos, clearer reference photos, or more than one photo a person.",
)
def real_accuracy(seen: Evidence) -> Raised:
    for judge in seen.judges:
        if not judge.real_photos:
            yield (
                "Nobody has a second photo: how well this judge knows real faces cannot be told.",
                judge.name,
            )
        elif judge.real_linked < seen.settings.expected_real:
            yield (
                f"{judge.real_linked:.0%} of {judge.real_photos} real photos are linked to their own person, "
                f"expected {seen.settings.expected_real:.0%}. What it cannot link a better judge may.",
                judge.name,
            )


@rule(
    "The reference photos are not known to be of one person",
    "Look through them, and add some: one may show somebody else, or they are too unlike to recognise "
    "anybody by.",
)
def reference_accuracy(seen: Evidence) -> Raised:
    for judge in seen.judges:
        if judge.real_photos and not judge.own_photos:
            yield (
                f"So few cannot be checked against one another: it takes {1 + ENOUGH_ENROLLED} photos of a "
                "person that show a face.",
                judge.name,
            )
        elif judge.real_photos and judge.people_checked < len(seen.people):
            yield (
                f"Those of {len(seen.people) - judge.people_checked} of {len(seen.people)} people are so few "
                f"that they cannot be: it takes {1 + ENOUGH_ENROLLED} photos of a person that show a face.",
                judge.name,
            )
        if judge.own_photos and judge.own_linked < seen.settings.expected_own:
            yield (
                f"{judge.own_linked:.0%} of the {judge.own_photos} reference photos are linked to the others "
                f"of their person, where {judge.real_linked:.0%} of all real photos are.",
                judge.name,
            )
        elif unlike := sum(each < seen.settings.expected_own for each in judge.own_linked_by_person):
            yield (
                f"Of {unlike} of {len(seen.people)} people fewer than {seen.settings.expected_own:.0%} of "
                "the reference photos are linked to the others.",
                judge.name,
            )

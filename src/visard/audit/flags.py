"""When the audit distrusts itself. One raised flag marks the whole report."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby

import torch
from torch import Tensor

from visard.audit.bench import ENOUGH_ENROLLED
from visard.audit.inputs import AuditSettings, ModelId, Person, Strangers
from visard.audit.result import ArmResult, Flag, JudgeCard, JudgeFigures, TierResult
from visard.metrics.bootstrap import Estimate
from visard.metrics.identification import finest
from visard.photos.duplicates import duplicates, shared

SIGNIFICANT = 0.05
TIMES_NOMINAL = 5
"""How many times the false-positive rate a wrong name may appear before thresholds are in doubt."""
ENOUGH_PEOPLE = 5
TIER_ORDER = "tier-order"
FACES_KEPT = 0.9
"""Of the undefended arm's share of pictures with a face."""


@dataclass(frozen=True)
class Evidence:
    """What the rules look at; strangers: how many of them have a face in the gallery."""

    people: Sequence[Person]
    gallery: Strangers
    surrogates: Sequence[ModelId]
    judges: Sequence[JudgeCard]
    arms: Sequence[ArmResult]
    settings: AuditSettings
    strangers: int

    @property
    def fpir(self) -> float:
        """The false-positive rate of a newcomer's search: asked for, or the finest the strangers can show."""
        return finest(self.settings.fpir, self.strangers)

    @property
    def gallery_size(self) -> int:
        return len(self.people) + self.strangers

    def figures(self) -> Iterator[tuple[str, JudgeFigures]]:
        """Every judge's figures of every arm, and what to call them."""
        for arm in self.arms:
            for judge in arm.judges:
                yield f"{arm.key}, {judge.judge}", judge


Raised = Iterator[tuple[str, str]]
"""A message and the arm or judge it concerns, "" for the whole audit."""


@dataclass(frozen=True)
class Rule:
    """One reason for distrust and what to do about it."""

    code: str
    title: str
    advice: str
    check: Callable[[Evidence], Raised]


RULES: dict[str, Rule] = {}


def rule(title: str, advice: str) -> Callable[[Callable[[Evidence], Raised]], Callable[[Evidence], Raised]]:
    """Registers a check; its name is the flag's code."""

    def register(check: Callable[[Evidence], Raised]) -> Callable[[Evidence], Raised]:
        code = check.__name__.replace("_", "-")
        RULES[code] = Rule(code, title, advice, check)
        return check

    return register


def raised(evidence: Evidence) -> list[Flag]:
    """The flags of all rules."""
    return [
        Flag(each.code, each.title, message, where, each.advice)
        for each in RULES.values()
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
        elif judge.own_photos and judge.own_linked < seen.settings.expected_own:
            yield (
                f"{judge.own_linked:.0%} of the {judge.own_photos} reference photos are linked to the others "
                f"of their person, where {judge.real_linked:.0%} of all real photos are.",
                judge.name,
            )


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


@rule(
    "Training photos among the reference photos",
    "Measure against photos that no training has seen.",
)
def training_in_reference(seen: Evidence) -> Raised:
    count = sum(duplicates(training, each.photos) for each, training in _trained(seen))
    if count:
        yield f"{count} photos the model was trained on are also those it is measured against.", ""


@rule("Training photos in the gallery", "Take them out: the gallery holds other people only.")
def training_in_gallery(seen: Evidence) -> Raised:
    count = sum(duplicates(training, seen.gallery.photos) for _, training in _trained(seen))
    if count:
        yield f"{count} photos the model was trained on stand in the gallery under another identity.", ""


@rule("Reference photos in the gallery", "Take them out: the gallery holds other people only.")
def reference_in_gallery(seen: Evidence) -> Raised:
    count = sum(duplicates(each.photos, seen.gallery.photos) for each in seen.people)
    if count:
        yield f"{count} of the person's photos stand in the gallery under another identity.", ""


@rule(
    "Generated pictures that are training photos",
    "Train for fewer steps, or with more photos, and do not publish these pictures.",
)
def copies(seen: Evidence) -> Raised:
    count = sum(
        duplicates(pictures, training)
        for each, training in _trained(seen)
        for pictures in each.pictures.values()
    )
    if count:
        yield f"{count} generated pictures repeat a photo the model was trained on.", ""


@rule(
    "Pictures among the reference photos",
    "Give real photos as reference and generated pictures as pictures; one folder seems to hold both.",
)
def pictures_in_reference(seen: Evidence) -> Raised:
    count = sum(
        duplicates(pictures, each.photos) for each in seen.people for pictures in each.pictures.values()
    )
    if count:
        yield f"{count} of the audited pictures also stand among the reference photos.", ""


@rule(
    "The same photos under two strangers' names",
    "Keep one of them: a stranger who is there twice raises the threshold of every search.",
)
def strangers_repeated(seen: Evidence) -> Raised:
    labels = list(seen.gallery.labels)
    mine = [torch.tensor([each == label for each in labels]) for label in dict.fromkeys(labels)]
    count = shared([seen.gallery.photos[rows] for rows in mine])
    if count:
        yield f"{count} of the gallery's photos stand under more than one identity.", ""


@rule(
    "The same photos of two audited people",
    "Check whose they are: a photo is of one person alone.",
)
def people_repeated(seen: Evidence) -> Raised:
    count = shared([each.photos for each in seen.people])
    if count:
        yield f"{count} reference photos stand with more than one of the people.", ""


@rule("Two arms hold the same pictures", "Check from which model each folder of pictures came.")
def same_pictures(seen: Evidence) -> Raised:
    for one, other in combinations(seen.people[0].pictures, 2):
        for part, whole in ((one, other), (other, one)):
            if all(_repeated(each, part, whole) for each in seen.people):
                yield f"Every picture of “{part}” also stands in “{whole}”: they cannot be compared.", ""
                break


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


@rule("Too few faces", "Generate more pictures, with prompts that show the face.")
def few_faces(seen: Evidence) -> Raised:
    for arm in seen.arms:
        if arm.faces.faces < seen.settings.minimum_faces:
            yield (
                f"{arm.faces.faces} of {arm.faces.pictures} pictures show a face; fewer than "
                f"{seen.settings.minimum_faces} carry no conclusion.",
                arm.key,
            )


@rule(
    "Even undefended pictures are rarely linked",
    "Train the undefended model for longer, or with better photos, until its pictures resemble the person.",
)
def undefended_accuracy(seen: Evidence) -> Raised:
    for arm in seen.arms:
        linked = arm.strongest.linked.value
        if arm.arm == seen.settings.undefended and linked < seen.settings.expected_undefended:
            yield (
                f"{linked:.0%} are linked, expected {seen.settings.expected_undefended:.0%}: the "
                "personalisation or the attack is too weak to show what a defence does.",
                arm.key,
            )


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


def tier_flags(tiers: Sequence[TierResult]) -> Iterator[Flag]:
    """What is to be distrusted in the attacks: what each says of itself, and one that links less than before.

    A stronger attack that links less than the interval of any weaker one leaves open does not work.
    """
    by_arm = sorted(tiers, key=lambda row: (row.arm, row.prompt, row.tier))
    for (arm, prompt), rows in groupby(by_arm, key=lambda row: (row.arm, row.prompt)):
        where, weaker = "/".join(part for part in (arm, prompt) if part), None
        for row in rows:
            for caution in row.cautions:
                yield Flag(
                    "tier-caution",
                    "An attack distrusts itself",
                    f"{row.tier}: {caution}",
                    where,
                    "Give the attack more people, and read its figure as this says.",
                )
            if math.isnan(row.linked.value):
                continue
            if weaker is not None and row.linked.value < weaker.linked.low:
                yield Flag(
                    TIER_ORDER,
                    "A stronger attack links less",
                    f"{row.tier} links {row.linked.value:.0%} where {weaker.tier}, which it "
                    f"includes, links {weaker.linked.value:.0%}.",
                    where,
                    "Believe the weaker attack's figure, and give the stronger one more data or better "
                    "settings.",
                )
            if weaker is None or row.linked.low > weaker.linked.low:
                weaker = row


def _beyond(share: Estimate, chance: float) -> bool:
    """Whether a share is more than chance: by its interval, or by Markov's inequality.

    P(share >= v) <= chance / v, whatever hangs together: it tells of two people too, whose interval cannot.
    """
    return share.low > chance or chance < SIGNIFICANT * share.value


def _trained(seen: Evidence) -> Iterator[tuple[Person, Tensor]]:
    """The people whose training photos are known, with these."""
    for person in seen.people:
        if person.training_photos is not None:
            yield person, person.training_photos


def _repeated(person: Person, one: str, other: str) -> bool:
    pictures = person.pictures[one]
    return duplicates(pictures, person.pictures[other]) == len(pictures)


def _sign(interval: tuple[float, float]) -> int:
    """Below zero, above it, or neither."""
    low, high = interval
    return -1 if high < 0 else 1 if low > 0 else 0

"""When the audit distrusts itself. One raised flag marks the whole report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise, permutations

from torch import Tensor

from visard.audit.inputs import AuditSettings, ModelId, Person, Strangers
from visard.audit.result import ArmResult, Flag, JudgeCard, JudgeFigures, TierResult
from visard.metrics.bootstrap import Estimate
from visard.photos.duplicates import duplicates

SIGNIFICANT = 0.05
TIMES_NOMINAL = 5
"""How many times the false-positive rate a wrong name may appear before thresholds are in doubt."""


@dataclass(frozen=True)
class Evidence:
    """What the rules look at; search_probes: photos of strangers with a face."""

    people: Sequence[Person]
    gallery: Strangers
    surrogates: Sequence[ModelId]
    judges: Sequence[JudgeCard]
    arms: Sequence[ArmResult]
    settings: AuditSettings
    search_probes: int

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
        if not judge.real_linked >= seen.settings.expected_real:  # also when it is NaN: one photo a person
            yield (
                f"{judge.real_linked:.0%} of {judge.real_photos} real photos are linked to their own person, "
                f"expected {seen.settings.expected_real:.0%}. What it cannot link a better judge may.",
                judge.name,
            )


@rule(
    "The gallery is too small for the false-positive rate",
    "Add photos of strangers, or ask for a larger false-positive rate (--fpir).",
)
def few_strangers(seen: Evidence) -> Raised:
    fpir = seen.settings.fpir
    if seen.search_probes * fpir < 1:
        yield (
            f"{seen.search_probes} searches by strangers cannot show a rate of {fpir:.1%}; "
            f"at least {round(1 / fpir)} photos of strangers are needed.",
            "",
        )


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


@rule("Two arms hold the same pictures", "Check from which model each folder of pictures came.")
def same_pictures(seen: Evidence) -> Raised:
    for one, other in permutations(seen.people[0].pictures, 2):
        if one < other and all(_repeated(each, one, other) for each in seen.people):
            yield f"Every picture of “{one}” also stands in “{other}”: they cannot be compared.", ""


@rule(
    "Nothing to compare with",
    "Personalise once without defence, same photos and steps, and audit its pictures as the arm “none”.",
)
def no_undefended(seen: Evidence) -> Raised:
    name = seen.settings.undefended
    if not any(arm.arm == name for arm in seen.arms):
        yield f"There is no arm “{name}”: a low share may just be a failed personalisation.", ""


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
    for where, judge in seen.figures():
        if judge.auc_same_pictures < 0.5 and judge.repulsion_p < SIGNIFICANT:
            yield (
                f"AUC {judge.auc_same_pictures:.2f} against strangers on the same pictures, "
                f"p = {judge.repulsion_p:.3f}. Whoever looks for the LEAST similar identity finds the "
                "person.",
                where,
            )


@rule(
    "Pictures are taken for somebody else",
    "Look at whom they name: a picture that passes for a real stranger harms that stranger. Thresholds and "
    "shares of this judge are not to be relied on.",
)
def strangers_named(seen: Evidence) -> Raised:
    for where, judge in seen.figures():
        if _above_chance(judge.names_another, seen.settings.fpir):
            yield (
                f"{judge.names_another.value:.0%} of the faces name another identity, where "
                f"{seen.settings.fpir:.1%} were allowed: thresholds from real photos do not hold on these "
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
        if _above_chance(judge.names_fellow, seen.settings.fpir):
            yield (
                f"{judge.names_fellow.value:.0%} of the faces name another of the audited people, where "
                f"{seen.settings.fpir:.1%} were allowed: the judge links what does not belong together.",
                where,
            )


@rule(
    "Other people's models are linked to the person",
    "Something but the person links these pictures: a background, a style, a base model's favourite face. "
    "Find it before believing any other arm.",
)
def chance_linked(seen: Evidence) -> Raised:
    for arm in seen.arms:
        if arm.arm == seen.settings.chance and _above_chance(arm.strongest.linked, seen.settings.fpir):
            yield (
                f"{arm.strongest.linked.value:.0%} are linked; {seen.settings.fpir:.1%} would be chance.",
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


def tier_flags(tiers: Sequence[TierResult]) -> Iterator[Flag]:
    """A stronger attack that links less, beyond both intervals, is one that does not work."""
    by_arm = sorted(tiers, key=lambda row: (row.arm, row.prompt, row.tier))
    for (arm, prompt), rows in groupby(by_arm, key=lambda row: (row.arm, row.prompt)):
        for weaker, stronger in pairwise(rows):
            if stronger.linked.high < weaker.linked.low:
                yield Flag(
                    "tier-order",
                    "A stronger attack links less",
                    f"{stronger.tier} links {stronger.linked.value:.0%} where {weaker.tier}, which it "
                    f"includes, links {weaker.linked.value:.0%}.",
                    "/".join(part for part in (arm, prompt) if part),
                    "Believe the weaker attack's figure, and give the stronger one more data or better "
                    "settings.",
                )


def _trained(seen: Evidence) -> Iterator[tuple[Person, Tensor]]:
    """The people whose training photos are known, with these."""
    for person in seen.people:
        if person.training_photos is not None:
            yield person, person.training_photos


def _repeated(person: Person, one: str, other: str) -> bool:
    pictures = person.pictures[one]
    return duplicates(pictures, person.pictures[other]) == len(pictures)


def _above_chance(share: Estimate, fpir: float) -> bool:
    return share.low > fpir and share.value > TIMES_NOMINAL * fpir


def _sign(interval: tuple[float, float]) -> int:
    """Below zero, above it, or neither."""
    low, high = interval
    return -1 if high < 0 else 1 if low > 0 else 0

"""When the audit distrusts itself. One raised flag marks the whole report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from visard.audit.duplicates import duplicates
from visard.audit.inputs import AuditSettings, ModelId, Person, Strangers
from visard.audit.result import ArmResult, Flag, JudgeCard, JudgeFigures

SIGNIFICANT = 0.05
TIMES_NOMINAL = 5
"""How many times the false-positive rate a wrong name may appear before thresholds are in doubt."""

TITLES = {
    "judge-was-surrogate": "A judge took part in training",
    "judge-family": "A judge is of a surrogate's family",
    "real-accuracy": "A judge links too few real photos",
    "few-strangers": "The gallery is too small for the false-positive rate",
    "training-in-reference": "Training photos among the reference photos",
    "training-in-gallery": "Training photos in the gallery",
    "reference-in-gallery": "Reference photos in the gallery",
    "copies": "Generated pictures that are training photos",
    "no-undefended": "Nothing to compare with",
    "few-faces": "Too few faces",
    "undefended-accuracy": "Even undefended pictures are rarely linked",
    "repulsion": "The person is less similar than strangers",
    "strangers-named": "Pictures are taken for somebody else",
    "counting": "Detected-only and all-image figures disagree",
}


def _flag(code: str, message: str, where: str = "") -> Flag:
    return Flag(code, TITLES[code], message, where)


def judge_flags(judges: Sequence[JudgeCard], surrogates: Sequence[ModelId]) -> Iterator[Flag]:
    """A recogniser used in training also judges: the same file or name, or its family."""
    for judge in judges:
        same = [
            model.name
            for model in surrogates
            if model.name == judge.name or (model.sha256 and model.sha256 == judge.sha256)
        ]
        family = [model.name for model in surrogates if model.family and model.family == judge.family]
        if same:
            message = (
                f"The pictures were optimised against {same[0]}: its verdict speaks for no other recogniser."
            )
            yield _flag("judge-was-surrogate", message, judge.name)
        elif family:
            message = (
                f"{judge.name} and {family[0]}, used in training, are both {judge.family}. A defence carries "
                "over within a family far better than beyond it."
            )
            yield _flag("judge-family", message, judge.name)


def bench_flags(judges: Sequence[JudgeCard], settings: AuditSettings, search_probes: int) -> Iterator[Flag]:
    """A judge that does not know real faces, and a gallery too small for the error rate asked for."""
    for judge in judges:
        if not judge.real_linked >= settings.expected_real:  # also when it is NaN: one photo a person
            message = (
                f"{judge.real_linked:.0%} of real photos are linked to their own person, expected "
                f"{settings.expected_real:.0%}. What it cannot link a better judge may."
            )
            yield _flag("real-accuracy", message, judge.name)
    if search_probes * settings.fpir < 1:
        message = (
            f"{search_probes} searches by strangers cannot show a rate of {settings.fpir:.1%}; "
            f"at least {round(1 / settings.fpir)} photos of strangers are needed."
        )
        yield _flag("few-strangers", message)


def photo_flags(people: Sequence[Person], strangers: Strangers) -> Iterator[Flag]:
    """Photos in two sets: the attacker must not hold training photos, nor a stranger be the person."""
    both = dict.fromkeys(
        ("training-in-reference", "training-in-gallery", "reference-in-gallery", "copies"), 0
    )
    for person in people:
        both["reference-in-gallery"] += duplicates(person.photos, strangers.photos)
        training = person.training_photos
        if training is not None:
            both["training-in-reference"] += duplicates(training, person.photos)
            both["training-in-gallery"] += duplicates(training, strangers.photos)
            both["copies"] += sum(duplicates(pictures, training) for pictures in person.pictures.values())
    said = {
        "training-in-reference": "photos the model was trained on are also those it is measured against.",
        "training-in-gallery": "photos the model was trained on stand in the gallery under another identity.",
        "reference-in-gallery": "of the person's photos stand in the gallery under another identity.",
        "copies": "generated pictures repeat a photo the model was trained on.",
    }
    for code, count in both.items():
        if count:
            yield _flag(code, f"{count} {said[code]}")


def arm_flags(arms: Sequence[ArmResult], settings: AuditSettings) -> Iterator[Flag]:
    """What the figures of an arm say against themselves."""
    if not any(arm.arm == settings.undefended for arm in arms):
        message = (
            f"There is no arm “{settings.undefended}”: a low share may just be a failed personalisation."
        )
        yield _flag("no-undefended", message)
    for arm in arms:
        if arm.faces.faces < settings.minimum_faces:
            message = (
                f"{arm.faces.faces} of {arm.faces.pictures} pictures show a face; fewer than "
                f"{settings.minimum_faces} carry no conclusion."
            )
            yield _flag("few-faces", message, arm.key)
        linked = arm.strongest.linked.value
        if arm.arm == settings.undefended and linked < settings.expected_undefended:
            message = (
                f"{linked:.0%} are linked, expected {settings.expected_undefended:.0%}: the personalisation "
                "or the attack is too weak to show what a defence does."
            )
            yield _flag("undefended-accuracy", message, arm.key)
        for judge in arm.judges:
            yield from _figure_flags(judge, f"{arm.key}, {judge.judge}", settings.fpir)


def _figure_flags(judge: JudgeFigures, where: str, fpir: float) -> Iterator[Flag]:
    if judge.auc_same_pictures < 0.5 and judge.repulsion_p < SIGNIFICANT:
        message = (
            f"AUC {judge.auc_same_pictures:.2f} against strangers on the same pictures, "
            f"p = {judge.repulsion_p:.3f}. Whoever looks for the LEAST similar identity finds the person."
        )
        yield _flag("repulsion", message, where)
    other = judge.names_another
    if other.low > fpir and other.value > TIMES_NOMINAL * fpir:
        message = (
            f"{other.value:.0%} of the faces name another identity, where {fpir:.1%} were allowed: "
            "thresholds from real photos do not hold on these pictures."
        )
        yield _flag("strangers-named", message, where)
    change = judge.difference
    if change is not None and _conclusion(change.overall_interval) != _conclusion(change.detected_interval):
        message = (
            f"Against the undefended arm the linked share changes by {change.overall:+.0%} over all "
            f"pictures, but by {change.detected:+.0%} over those with a face: part of the change is "
            "lost faces, not lost identity."
        )
        yield _flag("counting", message, where)


def _conclusion(interval: tuple[float, float]) -> int:
    """Below zero, above it, or neither."""
    low, high = interval
    return -1 if high < 0 else 1 if low > 0 else 0

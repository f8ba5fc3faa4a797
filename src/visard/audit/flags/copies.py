"""Photos that stand in two places, and people under two names, where they must not."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import torch
from torch import Tensor

from visard.audit.flags.rules import Evidence, Raised, rule
from visard.audit.inputs import Person
from visard.photos.duplicates import duplicates, repeats, shared


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


@rule(
    "One photo several times in a set",
    "Keep each once: copies look like evidence, and make photos of one person seem more alike than they are.",
)
def repeated(seen: Evidence) -> Raised:
    if count := sum(repeats(person.photos) for person in seen.people):
        yield f"{count} reference photos repeat another of the same person.", ""
    labels = list(seen.gallery.labels)
    owners = [torch.tensor([each == label for each in labels]) for label in dict.fromkeys(labels)]
    if count := sum(repeats(seen.gallery.photos[rows]) for rows in owners):
        yield f"{count} of the gallery's photos repeat another of the same stranger.", ""
    for key in seen.people[0].pictures:
        if count := sum(repeats(person.pictures[key]) for person in seen.people):
            yield f"{count} pictures repeat another one: together they say what one says.", key


@rule(
    "Somebody in the gallery looks like the person",
    "See whom else the person's photos name. The person under another name must go; a double takes the "
    "person's place in every search, so that less is linked than could be.",
)
def person_in_gallery(seen: Evidence) -> Raised:
    for judge in seen.judges:
        if judge.people_doubled:
            yield (
                f"{judge.people_doubled} of {len(seen.people)} people have a stranger beside them who is as "
                "like as half of the real photos are like their own person.",
                judge.name,
            )


@rule(
    "Strangers look like one another",
    "See whether somebody stands in the gallery under two names: that raises the threshold of every search.",
)
def stranger_twice(seen: Evidence) -> Raised:
    for judge in seen.judges:
        if judge.strangers_doubled:
            yield (
                f"{judge.strangers_doubled} of {seen.strangers} are as like another one as half of the real "
                "photos are like their own person.",
                judge.name,
            )


@rule("Two arms hold the same pictures", "Check from which model each folder of pictures came.")
def same_pictures(seen: Evidence) -> Raised:
    for one, other in combinations(seen.people[0].pictures, 2):
        for part, whole in ((one, other), (other, one)):
            if all(_repeated(each, part, whole) for each in seen.people):
                yield f"Every picture of “{part}” also stands in “{whole}”: they cannot be compared.", ""
                break


def _trained(seen: Evidence) -> Iterator[tuple[Person, Tensor]]:
    """The people whose training photos are known, with these."""
    for person in seen.people:
        if person.training_photos is not None:
            yield person, person.training_photos


def _repeated(person: Person, one: str, other: str) -> bool:
    pictures = person.pictures[one]
    return duplicates(pictures, person.pictures[other]) == len(pictures)

"""Every rule of distrust: evidence that raises it, and evidence that does not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from support.toys import ToyWorld, toy_instruments
from visard.audit import AuditResult, AuditSettings, ModelId, Person, TierResult, audit_people, with_tiers
from visard.audit.flags import KINDS, Evidence, raised, rules_of, tier_flags, unchecked
from visard.audit.flags.copies import repeated
from visard.audit.flags.judges import reference_accuracy
from visard.audit.flags.links import chance_linked, repulsion, shuffled_labels, strangers_named
from visard.audit.flags.rules import Raised
from visard.audit.result import Difference
from visard.metrics.bootstrap import Estimate, SubjectBootstrap, estimate, weighted_share
from visard.metrics.linkability import Lowest


@pytest.fixture(scope="module")
def sound() -> Evidence:
    """An audit of five people that gives no reason for distrust."""
    world = ToyWorld(3)
    people = []
    for _ in range(5):
        face, other = world.person(), world.person()
        pictures = {"none": world.photos(face, 8), "strangers": world.photos(other, 8)}
        people.append(Person(world.photos(face, 4), pictures, world.photos(face, 4, noise=0.3)))
    gallery, settings = world.strangers(100, 2), AuditSettings(draws=60, null_draws=20)
    surrogates = [ModelId("other", "net", "abc")]
    result = audit_people(people, gallery, toy_instruments(), surrogates=surrogates, settings=settings)
    return Evidence(people, gallery, surrogates, result.judges, result.arms, settings, 100)


def arm(evidence: Evidence, place: int, **changes: Any) -> Evidence:
    """The evidence with something else in one arm."""
    arms = list(evidence.arms)
    arms[place] = dataclasses.replace(arms[place], **changes)
    return dataclasses.replace(evidence, arms=arms)


def figures(evidence: Evidence, place: int, **changes: Any) -> Evidence:
    """The evidence with other figures of the first judge in one arm."""
    first, *rest = evidence.arms[place].judges
    return arm(evidence, place, judges=[dataclasses.replace(first, **changes), *rest])


def judge(evidence: Evidence, **changes: Any) -> Evidence:
    first, *rest = evidence.judges
    return dataclasses.replace(evidence, judges=[dataclasses.replace(first, **changes), *rest])


def person(evidence: Evidence, **changes: Any) -> Evidence:
    first, *rest = evidence.people
    return dataclasses.replace(evidence, people=[dataclasses.replace(first, **changes), *rest])


def surrogate(evidence: Evidence, model: ModelId) -> Evidence:
    return dataclasses.replace(evidence, surrogates=[model])


def share(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, 20, "subjects")


def enrolled(evidence: Evidence, photos: torch.Tensor) -> Evidence:
    """Photos that stand in the gallery as a stranger's."""
    gallery = evidence.gallery
    more = dataclasses.replace(
        gallery,
        photos=torch.cat([gallery.photos, photos]),
        labels=[*gallery.labels, *["more"] * len(photos)],
    )
    return dataclasses.replace(evidence, gallery=more)


def two_arms(evidence: Evidence, copied: int) -> Evidence:
    """A second arm that repeats so many of the first one's pictures."""
    people = [
        dataclasses.replace(
            each,
            pictures={
                "none": each.pictures["none"],
                "again": torch.cat([each.pictures["none"][:copied], each.pictures["strangers"][copied:]]),
            },
        )
        for each in evidence.people
    ]
    return dataclasses.replace(evidence, people=people)


def drawn(evidence: Evidence, pictures: torch.Tensor) -> Evidence:
    """Other undefended pictures of the first person."""
    return person(evidence, pictures={**evidence.people[0].pictures, "none": pictures})


def renamed(evidence: Evidence, place: int, name: str) -> Evidence:
    return arm(evidence, place, arm=name)


def faces(evidence: Evidence, count: int, place: int = 0) -> Evidence:
    """So many faces, of 40 pictures, in one arm."""
    found = dataclasses.replace(evidence.arms[place].faces, faces=count, rate=count / 40)
    return arm(evidence, place, faces=found)


Change = Callable[[Evidence], Evidence]
TITLES = {each.code: each.title for kind in KINDS for each in rules_of(kind)}

RAISED: dict[str, tuple[Change, Change]] = {
    "judge-was-surrogate": (
        lambda seen: surrogate(seen, ModelId("first")),
        lambda seen: surrogate(seen, ModelId("third", "another family")),
    ),
    "judge-family": (
        lambda seen: surrogate(seen, ModelId("cousin", "pattern", "0")),
        lambda seen: surrogate(seen, ModelId("cousin", "", "0")),  # an unknown family is not one
    ),
    "real-accuracy": (
        lambda seen: judge(seen, real_linked=0.89),
        lambda seen: judge(seen, real_linked=0.9),
    ),
    "reference-accuracy": (
        lambda seen: judge(seen, own_linked=0.49),
        lambda seen: judge(seen, own_linked=0.5),
    ),
    "few-strangers": (
        lambda seen: dataclasses.replace(seen, strangers=98),
        lambda seen: dataclasses.replace(seen, strangers=99),  # above all of whom one newcomer in 100 stands
    ),
    "repulsion-unseen": (
        lambda seen: dataclasses.replace(seen, people=seen.people[:1], strangers=19),
        lambda seen: dataclasses.replace(seen, strangers=19),  # several people's places add up
    ),
    "few-people": (
        lambda seen: dataclasses.replace(seen, people=seen.people[:4]),
        lambda seen: dataclasses.replace(seen, people=seen.people[:1]),  # whose report says what it is about
    ),
    "training-in-reference": (
        lambda seen: person(seen, training_photos=seen.people[0].photos[1:2].flip(-1)),
        lambda seen: person(seen, training_photos=None),
    ),
    "training-in-gallery": (
        lambda seen: enrolled(seen, seen.people[1].training_photos[:1]),
        lambda seen: enrolled(person(seen, training_photos=None), seen.people[0].training_photos[:1]),
    ),
    "reference-in-gallery": (
        lambda seen: enrolled(seen, seen.people[0].photos[:1]),
        lambda seen: enrolled(seen, seen.people[0].pictures["none"][:1]),
    ),
    "copies": (
        lambda seen: person(seen, training_photos=seen.people[0].pictures["none"][:1]),
        lambda seen: person(seen, training_photos=seen.people[1].pictures["none"][:1]),
    ),
    "pictures-in-reference": (
        lambda seen: person(seen, photos=seen.people[0].pictures["none"][:3]),
        lambda seen: person(seen, photos=seen.people[1].pictures["none"][:3]),
    ),
    "strangers-repeated": (
        lambda seen: enrolled(seen, seen.gallery.photos[:1].flip(-1)),
        lambda seen: enrolled(seen, seen.people[0].pictures["none"][:1].repeat(2, 1, 1, 1)),
    ),
    "people-repeated": (
        lambda seen: person(seen, photos=torch.cat([seen.people[0].photos, seen.people[1].photos[:1]])),
        lambda seen: person(seen, photos=seen.people[0].photos[:1].repeat(2, 1, 1, 1)),
    ),
    "repeated": (
        lambda seen: drawn(seen, seen.people[0].pictures["none"][[0, 1, 1, 3]]),
        lambda seen: drawn(seen, seen.people[0].pictures["none"][[0, 2, 1, 3]]),
    ),
    "person-in-gallery": (
        lambda seen: judge(seen, people_doubled=1),
        lambda seen: judge(seen, strangers_doubled=2),
    ),
    "stranger-twice": (
        lambda seen: judge(seen, strangers_doubled=2),
        lambda seen: judge(seen, people_doubled=1),
    ),
    "same-pictures": (lambda seen: two_arms(seen, 8), lambda seen: two_arms(seen, 7)),
    "no-undefended": (lambda seen: renamed(seen, 0, "iddm"), lambda seen: renamed(seen, 1, "iddm")),
    "lost-faces": (lambda seen: faces(seen, 35, 1), lambda seen: faces(seen, 36, 1)),
    "few-faces": (lambda seen: faces(seen, 29), lambda seen: faces(seen, 30)),
    "undefended-accuracy": (
        lambda seen: arm(
            seen,
            0,
            judges=[dataclasses.replace(each, linked=share(0.49, 0.3, 0.7)) for each in seen.arms[0].judges],
        ),
        lambda seen: figures(seen, 0, linked=share(0.49, 0.3, 0.7)),  # the other judge links them
    ),
    "repulsion": (
        lambda seen: figures(seen, 0, auc_same_pictures=0.3, repulsion_p=0.01),
        lambda seen: figures(seen, 0, auc_same_pictures=0.3, repulsion_p=0.2),  # may be chance
    ),
    "strangers-named": (
        lambda seen: figures(seen, 0, names_another=share(0.3, 0.2, 0.4)),
        lambda seen: figures(seen, 0, names_another=share(0.15, 0.0, 0.9)),  # too few to tell
    ),
    "shuffled-labels": (
        lambda seen: figures(seen, 0, names_fellow=share(0.2, 0.1, 0.3)),
        lambda seen: figures(seen, 0, names_fellow=share(0.005, 0.0003, 0.03)),  # may be chance
    ),
    "chance-linked": (
        lambda seen: figures(seen, 1, linked=share(0.4, 0.2, 0.6)),
        lambda seen: figures(seen, 1, linked=share(0.003, 0.00018, 0.03)),  # of two judges, 1 in 105 each
    ),
    "counting": (
        lambda seen: figures(seen, 1, difference=Difference(-0.5, (-0.6, -0.4), 0.0, (-0.1, 0.1))),
        lambda seen: figures(seen, 1, difference=Difference(-0.5, (-0.6, -0.4), -0.3, (-0.4, -0.2))),
    ),
}


def codes(evidence: Evidence) -> set[str]:
    return {flag.code for flag in raised(evidence)}


def test_sound_evidence_raises_nothing(sound: Evidence) -> None:
    assert raised(sound) == []


def test_what_could_not_be_checked_is_said_with_what_it_takes(sound: Evidence) -> None:
    assert unchecked(sound) == {}
    for changed, check, missing in (
        (dataclasses.replace(sound, surrogates=[]), "whether a judge took part in training", "--run"),
        (surrogate(sound, ModelId("arcface")), "whether a judge is of the family of arcface", "families"),
        (person(sound, training_photos=None), "training photos", "--training-photos"),
        (renamed(sound, 1, "iddm"), "other people's models", "“strangers”"),
    ):
        ((said, takes),) = unchecked(changed).items()
        assert check in said
        assert missing in takes


def test_every_rule_is_tested() -> None:
    assert set(RAISED) == set(TITLES)


@pytest.mark.parametrize("code", RAISED)
def test_rule_is_raised_by_what_it_is_about_and_by_nothing_less(sound: Evidence, code: str) -> None:
    bad, fine = RAISED[code]
    assert code in codes(bad(sound))
    assert code not in codes(fine(sound))


@pytest.mark.parametrize("code", RAISED)
def test_flag_says_what_to_do(sound: Evidence, code: str) -> None:
    flag = next(flag for flag in raised(RAISED[code][0](sound)) if flag.code == code)
    assert flag.title == TITLES[code]
    assert flag.message.endswith(".")
    assert flag.advice.endswith(".")


def test_a_renamed_surrogate_is_known_by_its_file(sound: Evidence) -> None:
    hashed = judge(sound, sha256="beef")
    assert "judge-was-surrogate" in codes(surrogate(hashed, ModelId("renamed", "other", "beef")))
    assert "judge-was-surrogate" not in codes(surrogate(sound, ModelId("unknown", "other", "")))


def test_a_prompt_without_an_undefended_arm_is_named(sound: Evidence) -> None:
    other = arm(arm(sound, 0, prompt="a"), 1, arm="iddm", prompt="b")
    (flag,) = [flag for flag in raised(other) if flag.code == "no-undefended"]
    assert flag.where == "b"


def test_an_arm_within_a_larger_one_is_found_either_way_round(sound: Evidence) -> None:
    people = [
        dataclasses.replace(
            each,
            pictures={"none": each.pictures["none"][:4], "iddm": each.pictures["none"]},
        )
        for each in sound.people
    ]
    assert "same-pictures" in codes(dataclasses.replace(sound, people=people))
    turned = [dataclasses.replace(each, pictures=dict(reversed(each.pictures.items()))) for each in people]
    assert "same-pictures" in codes(dataclasses.replace(sound, people=turned))


def test_one_photo_a_person_says_nothing_of_a_judge(sound: Evidence) -> None:
    blind = judge(sound, real_photos=0, real_linked=float("nan"), own_photos=0, own_linked=float("nan"))
    (flag,) = raised(blind)
    assert flag.code == "real-accuracy"
    assert "nan" not in flag.message


def test_reference_photos_that_are_too_few_to_compare_are_said_so(sound: Evidence) -> None:
    alone = judge(sound, own_photos=0, own_linked=float("nan"))
    ((message, where),) = reference_accuracy(alone)
    assert "it takes 3 photos of a person" in message
    assert (where, "nan" in message) == ("first", False)


def test_people_among_others_whose_photos_are_too_few_are_counted() -> None:
    world = ToyWorld(5)
    faces = [world.person() for _ in range(3)]
    given = [
        Person(world.photos(face, count), {"none": world.photos(face, 4)})
        for face, count in zip(faces, (4, 2, 3), strict=True)
    ]
    few = AuditSettings(draws=10, null_draws=5)
    result = audit_people(given, world.strangers(6, 3), toy_instruments(), settings=few)
    assert {judge.people_checked for judge in result.judges} == {2}
    messages = [flag.message for flag in result.flags if flag.code == "reference-accuracy"]
    assert len(messages) == len(result.judges)
    assert all(each.startswith("Those of 1 of 3 people are so few") for each in messages)


def test_reference_photos_of_some_people_are_not_outvoted_by_those_of_others(sound: Evidence) -> None:
    mixed = judge(sound, own_linked=0.8, own_linked_by_person=[1.0, 1.0, 1.0, 0.25, 0.25])
    ((message, where),) = reference_accuracy(mixed)
    assert message.startswith("Of 2 of 5 people fewer than 50%")
    assert where == "first"


def test_people_whose_undefended_pictures_are_never_linked_are_counted(sound: Evidence) -> None:
    lost = [[True] * 8] * 4 + [[False] * 8]
    judges = [dataclasses.replace(each, linked_pictures=lost) for each in sound.arms[0].judges]
    (flag,) = [each for each in raised(arm(sound, 0, judges=judges)) if each.code == "undefended-accuracy"]
    assert flag.message.startswith("Of 1 of 5 people not one picture is linked")


def test_copies_of_a_reference_photo_and_of_a_strangers_are_told_apart(sound: Evidence) -> None:
    mine, theirs = sound.people[0].photos, sound.gallery.photos
    copied = person(sound, photos=torch.cat([mine, mine[:2]]))
    assert [message for message, _ in repeated(copied)] == [
        "2 reference photos repeat another of the same person."
    ]
    labels = [*sound.gallery.labels, sound.gallery.labels[0]]
    gallery = dataclasses.replace(sound.gallery, photos=torch.cat([theirs, theirs[:1]]), labels=labels)
    ((message, _),) = repeated(dataclasses.replace(sound, gallery=gallery))
    assert message.startswith("1 of the gallery's photos")


def test_somebody_under_another_name_is_found_though_no_photo_is_the_same() -> None:
    world = ToyWorld(7)
    face, twice = world.person(), world.person()
    given = [Person(world.photos(face, 6), {"none": world.photos(face, 4)})]
    others = world.strangers(10, 3)
    few = AuditSettings(draws=10, null_draws=5)

    def codes_with(*more: torch.Tensor) -> set[str]:
        labels = [*others.labels, *[f"more {index}" for index, photos in enumerate(more) for _ in photos]]
        gallery = dataclasses.replace(others, photos=torch.cat([others.photos, *more]), labels=labels)
        found = audit_people(given, gallery, toy_instruments(), settings=few)
        return {flag.code for flag in found.flags} & {"person-in-gallery", "stranger-twice"}

    assert codes_with() == set()
    assert codes_with(world.photos(face, 3)) == {"person-in-gallery"}
    assert codes_with(world.photos(twice, 3), world.photos(twice, 3)) == {"stranger-twice"}


@pytest.mark.parametrize("photos", [1, 2, 3])
def test_how_many_reference_photos_it_takes(photos: int) -> None:
    world = ToyWorld(5)
    face = world.person()
    given = [Person(world.photos(face, photos), {"none": world.photos(face, 4)})]
    few = AuditSettings(draws=10, null_draws=5)
    result = audit_people(given, world.strangers(6, 3), toy_instruments(), settings=few)
    assert ("reference-accuracy" in {flag.code for flag in result.flags}) == (photos < 3)


def tier(name: str, value: float, width: float = 0.05, arm: str = "iddm") -> TierResult:
    return TierResult(name, "", share(value, value - width, value + width), 100, arm)


def test_a_stronger_attack_must_not_link_less() -> None:
    (flag,) = tier_flags([tier("T2", 0.2), tier("T0", 0.3), tier("T1", 0.5)])
    assert (flag.code, flag.where) == ("tier-order", "iddm")
    assert "T2 links 20%" in flag.message
    assert "T1, which it includes, links 50%" in flag.message
    assert not list(tier_flags([tier("T0", 0.5), tier("T1", 0.45), tier("T2", 0.6)]))  # within the intervals
    wide = [tier("T0", 0.5), tier("T1", 0.42, 0.1)]
    assert [flag.message[:2] for flag in tier_flags(wide)] == ["T1"]  # though its own interval reaches up
    slow = [tier("T0", 0.9), tier("T1", 0.86), tier("T2", 0.82), tier("T3", 0.78)]
    assert [flag.message[:2] for flag in tier_flags(slow)] == ["T2", "T3"]  # each within the one before
    assert not list(tier_flags([tier("T0", 0.9, arm="none"), tier("T1", 0.1, arm="iddm")]))  # two arms


def test_an_attack_that_was_not_tried_is_compared_with_nothing() -> None:
    nothing = tier("T1", float("nan"))
    (flag,) = tier_flags([tier("T0", 0.5), nothing, tier("T2", 0.2)])
    assert "T2 links 20% where T0" in flag.message
    (flag,) = tier_flags([tier("T0", float("nan")), tier("T1", 0.5), tier("T2", 0.2)])
    assert "T2 links 20% where T1" in flag.message


def test_what_an_attack_says_of_itself_is_a_flag() -> None:
    class Doubtful(TierResult):
        @property
        def cautions(self) -> list[str]:
            return ["the threshold does not hold."]

    (flag,) = tier_flags([Doubtful("T3", "", share(0.5, 0.4, 0.6), 100, "iddm")])
    assert (flag.code, flag.where) == ("tier-caution", "iddm")
    assert flag.message == "T3: the threshold does not hold."


def test_tiers_are_added_to_claims_and_flags(sound: Evidence) -> None:
    result = audit_result(sound)
    rows = [tier("T0", 0.1), tier("T4", 0.6), tier("T5", 0.55), tier("T4", 0.9, arm="none")]
    found = with_tiers(result, rows)
    assert found.tiers == rows
    assert found.claims[0].startswith("At attack tier T4")  # what links most, not what is called strongest
    assert "60.0 % [95 % CI 55.0–65.0 %] of “iddm”" in found.claims[0]
    assert "undefended 90.0 %" in found.claims[0]
    stated = dataclasses.replace(rows[1], gallery=112, k=4, fpir=1 / 21)
    (claim, *_) = with_tiers(result, [stated]).claims
    for part in (
        "in a gallery of 112",
        "with 4 pictures out",
        "at a threshold set for a false-positive rate of 0.048,",
    ):
        assert part in claim
    assert found.claims[1:] == result.claims
    assert [flag.code for flag in found.flags] == [flag.code for flag in result.flags]
    assert not with_tiers(result, [tier("T0", 0.9), tier("T1", 0.1)]).trusted


def audit_result(sound: Evidence) -> AuditResult:
    return audit_people(
        sound.people, sound.gallery, toy_instruments(), surrogates=sound.surrogates, settings=sound.settings
    )


CHANCE: dict[str, tuple[Callable[[Evidence], Raised], Callable[[Evidence, Estimate], Evidence]]] = {
    "shuffled-labels": (shuffled_labels, lambda seen, share: figures(seen, 0, names_fellow=share)),
    "chance-linked": (chance_linked, lambda seen, share: figures(seen, 1, linked=share)),
    "strangers-named": (strangers_named, lambda seen, share: figures(seen, 0, names_another=share)),
}


@pytest.mark.parametrize("people", [2, 3, 5])
@pytest.mark.parametrize("code", CHANCE)
def test_what_chance_explains_is_told_from_few_people(sound: Evidence, code: str, people: int) -> None:
    """Of two or three people the rule of three leaves every share open down to nothing."""
    bootstrap = SubjectBootstrap(people, 60, torch.Generator().manual_seed(0))
    owner = torch.arange(people).repeat_interleave(8)
    weights = bootstrap.weights(owner)
    rule, showing = CHANCE[code]
    few = dataclasses.replace(sound, people=sound.people[:people])
    for hits, expected in ((owner == 0, True), (owner < 0, False)):
        seen = estimate(
            float(hits.double().mean()),
            weighted_share(hits, weights),
            bootstrap.units(owner),
            bootstrap.unit,
        )
        assert (seen.low, seen.n) == (0.0, people)
        assert bool(list(rule(showing(few, seen)))) is expected


def test_a_few_pushed_away_raise_repulsion_though_most_are_not(sound: Evidence) -> None:
    lowest = Lowest(count=6, people=20, share=0.05, p_value=0.0003)
    few = figures(sound, 0, auc_same_pictures=0.69, repulsion_p=0.998, lowest=lowest)
    (message,) = [message for message, _ in repulsion(few)]
    assert message.startswith("6 of 20 people are among the 5.0% of identities least similar")
    assert "AUC" not in message
    doubtful = dataclasses.replace(lowest, p_value=0.03)  # one of two tests
    assert not list(repulsion(figures(sound, 0, lowest=doubtful)))
    assert not list(repulsion(figures(sound, 0, auc_same_pictures=0.4, repulsion_p=0.03)))
    alone = dataclasses.replace(sound, people=sound.people[:1])  # who has one place, and one test
    assert list(repulsion(figures(alone, 0, auc_same_pictures=0.4, repulsion_p=0.03)))
    assert not list(repulsion(figures(alone, 0, lowest=Lowest(1, 1, 0.049, 0.049))))


def test_arm_and_judge_are_named(sound: Evidence) -> None:
    (flag,) = raised(figures(sound, 0, names_fellow=share(0.2, 0.1, 0.3)))
    assert flag.where == "none, first"

"""The measurement on a world where the truth is known."""

import json
import math

import pytest
import torch
from torch import Tensor

from support.toys import blank
from visard.audit import (
    AuditResult,
    AuditSettings,
    Instruments,
    ModelId,
    Person,
    Strangers,
    audit,
    audit_people,
    render_report,
)
from visard.audit.accounting import account
from visard.errors import InputError
from visard.photos.duplicates import duplicates


def codes(result: AuditResult) -> set[str]:
    return {flag.code for flag in result.flags}


@pytest.fixture
def one(world, instruments, settings) -> tuple[AuditResult, Tensor]:
    person = world.person()
    reference = world.photos(person, 4)
    blank = -torch.ones(8, 3, 48, 48)
    result = audit(
        {
            "none/a photo": world.photos(person, 32),
            "iddm/a photo": torch.cat([world.photos(person, 32, noise=0.4, strength=0.25), blank]),
            "pushed/a photo": world.photos(person, 32, strength=-1.0),
        },
        reference,
        world.strangers(),
        instruments,
        training_photos=world.photos(person, 4, noise=0.3),
        surrogates=[ModelId("other", "net", "abc")],
        settings=settings,
    )
    return result, reference


def test_every_picture_is_counted_once(one) -> None:
    result, _ = one
    for arm in result.arms:
        for judge in arm.judges:
            count = judge.accounting
            assert count.linked + count.not_linked + count.no_face == count.pictures == arm.pictures
            assert count.faces == arm.faces.faces
            assert judge.linked.value == pytest.approx(count.linked / arm.pictures)
            assert sum(map(sum, judge.linked_pictures)) == count.linked
            assert sum(value is None for row in judge.similarities for value in row) == count.no_face
    assert [arm.judges[0].accounting.no_face for arm in result.arms] == [0, 8, 0]
    with pytest.raises(ValueError, match="cannot be linked"):
        account(torch.tensor([True]), torch.tensor([False]))


def test_undefended_pictures_are_linked_and_defended_ones_are_not(one) -> None:
    result, _ = one
    none, defended, _ = (arm.strongest for arm in result.arms)
    assert none.linked.value == 1.0
    assert none.linked.low == pytest.approx(1 - 3 / 32)  # rule of three
    assert defended.linked.value < 0.3
    assert defended.similarity.overall < defended.similarity.detected
    assert defended.difference is not None
    assert defended.difference.overall_interval[1] < 0
    assert none.matches[0].rate.value == 1.0
    assert [match.fmr for match in none.matches] == [1e-2]  # 780 pairs of people cannot show 1e-3
    assert result.judges[0].real_linked > 0.95


def test_repulsion_raises_a_flag_although_nothing_is_linked(one) -> None:
    result, _ = one
    pushed = result.arms[2].judges[0]
    assert pushed.linked.value == 0.0
    assert pushed.auc_same_pictures < 0.1
    assert pushed.linkability.d_sys > 0.9
    assert pushed.last_place > 0.5
    raised = {flag.where for flag in result.flags if flag.code == "repulsion"}
    assert raised == {"pushed/a photo, first", "pushed/a photo, second"}


def test_claim_names_attack_gallery_rate_and_both_shares(one) -> None:
    result, _ = one
    assert len(result.claims) == 2
    claim = next(claim for claim in result.claims if "“iddm”" in claim)
    for part in (
        "attack tier T0",
        "gallery of 41",
        "a threshold set for a false-positive rate of 0.024",  # 1 in 41: what forty strangers can show
        "95 % CI",
        "undefended 100.0 %",
    ):
        assert part in claim
    assert "anonym" not in " ".join(result.claims).lower()


def test_json_holds_scores_and_counts_but_no_embedding(one, instruments) -> None:
    result, reference = one
    tree = json.loads(result.to_json())
    longest = 0

    def walk(value: object) -> None:
        nonlocal longest
        if isinstance(value, dict):
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            if value and all(isinstance(item, float) for item in value):
                vector = torch.tensor(value)
                longest = max(longest, len(value))
                assert not (len(value) == 32 and abs(float(vector.norm()) - 1) < 1e-3)
            for item in value:
                walk(item)

    walk(tree)
    assert longest > 0
    first = instruments.judges[0].embed_faces(reference, torch.zeros(4, 5, 2))[0]
    assert f"{float(first[0]):.5g}" not in result.to_json()
    assert "embedding" not in result.to_json()
    assert tree["arms"][0]["judges"][0]["accounting"]["linked"] == 32


def test_same_seed_same_result(world, instruments, settings) -> None:
    person = world.person()
    given = ({"none": world.photos(person, 10)}, world.photos(person, 3), world.strangers(12), instruments)
    assert audit(*given, settings=settings).to_json() == audit(*given, settings=settings).to_json()


def test_several_people_are_resampled_as_people(world, instruments, settings) -> None:
    people = []
    for index in range(6):
        face = world.person()
        strength = 1.0 if index < 3 else 0.0  # half of the people are defended perfectly
        people.append(
            Person(
                world.photos(face, 4),
                {
                    "none": world.photos(face, 12),
                    "iddm": world.photos(face, 12, noise=0.4, strength=strength),
                },
            )
        )
    result = audit_people(people, world.strangers(), instruments, settings=settings)
    none, defended = (arm.strongest for arm in result.arms)
    assert (defended.linked.unit, defended.linked.n) == ("subjects", 6)
    assert defended.linked.high - defended.linked.low > 0.3
    assert none.linked_in[0].people.value == pytest.approx(1.0)
    assert defended.worst_decile > defended.linked.value
    assert result.gallery == 46
    assert len(defended.similarities) == 6
    assert "6 subjects" in result.claims[0]


def test_pictures_of_nobody_are_linked_at_chance(world, instruments, settings) -> None:
    people = []
    for _ in range(10):
        face, other = world.person(), world.person()
        people.append(Person(world.photos(face, 4), {"none": world.photos(other, 10)}))
    result = audit_people(people, world.strangers(), instruments, settings=settings)
    figures = result.arms[0].strongest
    assert figures.linked.value <= 0.05
    assert figures.linkability.p_value > 0.01
    assert figures.matches[0].rate.value < 0.08
    assert "undefended-accuracy" in codes(result)


def test_arm_without_any_face_is_all_no_face(world, instruments, settings) -> None:
    person = world.person()
    blank = -torch.ones(6, 3, 48, 48)
    result = audit(
        {"iddm": blank}, world.photos(person, 3), world.strangers(10), instruments, settings=settings
    )
    figures = result.arms[0].judges[0]
    assert (figures.accounting.linked, figures.accounting.no_face) == (0, 6)
    assert math.isnan(figures.linked_detected.value)
    assert {"few-faces", "no-undefended"} <= codes(result)
    json.loads(result.to_json())


def test_a_search_that_does_not_hold_everybody(one) -> None:
    result, _ = one
    for arm, linked in zip(result.arms, (1.0, 0.0, 0.0), strict=True):
        (row,) = arm.judges[
            0
        ].searches  # 20 strangers who are not enrolled show neither rate that was asked for
        assert row.fpir == 1 / 21
        assert row.rate.value == pytest.approx(linked, abs=0.3)


def test_half_of_the_strangers_are_not_enrolled(world, instruments) -> None:
    person, other = world.person(), world.person()
    settings = AuditSettings(draws=60, null_draws=20, search_rates=(0.05, 0.01))
    pictures = {
        "none": torch.cat([world.photos(person, 20), -torch.ones(20, 3, 48, 48)]),
        "iddm": world.photos(other, 40),
    }
    result = audit(pictures, world.photos(person, 4), world.strangers(60, 4), instruments, settings=settings)
    linked, nobody = (arm.judges[0].searches for arm in result.arms)
    assert [row.fpir for row in linked] == [0.05, 1 / 31]  # searches by 30 strangers
    assert [row.rate.value for row in linked] == [0.5, 0.5]  # a lost face is a miss
    assert [row.rate.value for row in nobody] == [0.0, 0.0]
    assert nobody[0].rate.high == pytest.approx(3 / 40)


def utility(world, instruments) -> AuditResult:
    """One person whom the arms show more or less well."""
    person = world.person()
    reference = world.photos(person, 6, noise=0.15)
    training = world.photos(person, 4, noise=0.15)
    shown = {
        "none": world.photos(person, 30),
        "iddm": world.photos(person, 30, noise=0.2, strength=0.6),
        "attributes": torch.cat([world.photos(world.person(), 1) for _ in range(30)]),
        "copied": training.repeat(8, 1, 1, 1),
    }
    settings = AuditSettings(draws=100, null_draws=20, tolerances={"degrees": 20.0})
    return audit(
        {f"{name}/a red sks": pictures for name, pictures in shown.items()},
        reference,
        world.strangers(),
        instruments,
        training_photos=training,
        settings=settings,
    )


def test_resemblance_is_measured_against_words_alone(world, instruments) -> None:
    result = utility(world, instruments)
    none, iddm, control, copied = (arm.resemblance for arm in result.arms)
    assert set(none.attributes) == {"red", "blue", "strongest", "degrees"}
    assert none.agreement.value == pytest.approx(sum(none.attributes.values()) / 4)
    assert none.agreement.value > iddm.agreement.value > control.agreement.value
    assert iddm.lift.value == pytest.approx(iddm.agreement.value - control.agreement.value)
    assert iddm.lift.interval[0] < iddm.lift.value < iddm.lift.interval[1]
    assert control.lift is None
    assert none.correlations == {}  # one person
    assert none.appearance.model == "toy describer"
    assert none.appearance.photos > 0.8
    assert none.appearance.pictures.value > iddm.appearance.pictures.value > 0.5
    assert control.appearance.pictures.low <= 0.1
    assert control.appearance.lift is None
    assert none.appearance.first.value == iddm.appearance.first.value == 1.0
    assert control.appearance.first.value < 0.3
    gained = iddm.appearance.pictures.value - control.appearance.pictures.value
    assert iddm.appearance.lift.value == pytest.approx(gained)
    assert iddm.appearance.lift.interval[0] > 0
    assert none.whole.pictures > control.whole.pictures + 0.2
    assert none.whole.model == "toy matcher"
    assert 0 <= none.captions.pictures <= 1
    assert control.diversity.pictures > none.diversity.pictures > 0
    assert copied.copying.score > 0.95
    assert none.copying.score < 0.9
    assert result.arms[0].quality.face_quality.model == "toy quality"
    assert result.absent == {
        "BRISQUE": "a trained BRISQUE model",
        "diversity by LPIPS": "a perceptual distance",
    }


def test_the_gate_asks_for_both_halves(world, instruments) -> None:
    result = utility(world, instruments)
    verdicts = {verdict.arm: verdict for verdict in result.verdicts}
    assert set(verdicts) == {"iddm", "copied"}
    assert (verdicts["copied"].links_less, verdicts["copied"].resembles_more) == (False, True)
    assert not verdicts["copied"].passed
    assert "not shown to be linked less" in verdicts["copied"].sentence
    bare = audit(
        {"iddm": world.photos(world.person(), 6)},
        world.photos(world.person(), 3),
        world.strangers(10),
        instruments,
        settings=AuditSettings(draws=20, null_draws=5),
    )
    assert [(each.links_less, each.resembles_more) for each in bare.verdicts] == [(None, None)]


def test_numbers_follow_people_or_do_not(world, instruments) -> None:
    people = []
    for _ in range(6):
        face = world.person()
        people.append(
            Person(
                world.photos(face, 3, noise=0.03),
                {
                    "none": world.photos(face, 4, noise=0.03),
                    "grey": world.photos(face, 4, noise=0.2, strength=0.0),
                },
            )
        )
    settings = AuditSettings(draws=20, null_draws=5, tolerances={"degrees": 10.0})
    result = audit_people(people, world.strangers(12), instruments, settings=settings)
    none, grey = (arm.resemblance.correlations["degrees"] for arm in result.arms)
    assert none > 0.95
    assert grey < none - 0.3


class TestFlags:
    def run(self, world, instruments: Instruments, **changes: object) -> AuditResult:
        person = world.person()
        given: dict[str, object] = {
            "pictures": {"none": world.photos(person, 30)},
            "reference": world.photos(person, 4),
            "gallery": world.strangers(100, 2),
            "instruments": instruments,
            "settings": AuditSettings(draws=50, null_draws=20),
        }
        return audit(**{**given, **changes})  # type: ignore[arg-type]

    def test_a_clean_audit_raises_none(self, world, instruments) -> None:
        assert self.run(world, instruments).trusted

    def test_photos_do_not_stand_in_two_sets(self, world, instruments) -> None:
        person = world.person()
        photos, gallery = world.photos(person, 6, noise=0.3), world.strangers()
        mixed = Strangers(torch.cat([photos[:2].flip(-1), gallery.photos]), ["x", "x", *gallery.labels])
        result = self.run(
            world,
            instruments,
            reference=photos[:4],
            gallery=mixed,
            training_photos=photos[1:],
            pictures={"none": photos},
        )
        assert {"training-in-reference", "training-in-gallery", "reference-in-gallery", "copies"} <= codes(
            result
        )

    def test_weak_judges_and_small_galleries(self, world, instruments) -> None:
        result = self.run(world, instruments, gallery=world.strangers(20, 6))
        assert "few-strangers" in codes(result)  # 120 photos, but of twenty people
        noisy = torch.randn(4, 3, 48, 48, generator=world.generator).clamp(-1, 1)
        strangers = Strangers(
            torch.randn(60, 3, 48, 48, generator=world.generator).clamp(-1, 1),
            [index // 2 for index in range(60)],
        )
        assert "real-accuracy" in codes(self.run(world, instruments, reference=noisy, gallery=strangers))

    def test_few_faces(self, world, instruments) -> None:
        assert codes(self.run(world, instruments, pictures={"none": world.photos(world.person(), 29)})) >= {
            "few-faces"
        }

    def test_lost_faces_are_not_lost_identity(self, world, instruments) -> None:
        person = world.person()
        pictures = {
            "none": world.photos(person, 40),
            "iddm": torch.cat([world.photos(person, 30), -torch.ones(30, 3, 48, 48)]),
        }
        result = self.run(world, instruments, pictures=pictures, reference=world.photos(person, 4))
        assert codes(result) == {"counting", "lost-faces"}

    def test_the_gate_does_not_pass_a_defence_that_destroys_faces(self, world, instruments) -> None:
        """Nine of ten pictures without a face, the rest the person as ever: linked less, and no defence."""
        person = world.person()
        grey = world.photos(person, 40, strength=0.0)
        pictures = {
            "none": world.photos(person, 40),
            "attributes": grey,
            "iddm": torch.cat([world.photos(person, 31), -torch.ones(269, 3, 48, 48)]),
        }
        result = self.run(world, instruments, pictures=pictures, reference=world.photos(person, 4))
        (verdict,) = result.verdicts
        change = next(arm for arm in result.arms if arm.arm == "iddm").strongest.difference
        assert change is not None
        assert change.overall_interval[1] < 0  # which would have been enough
        assert not verdict.passed
        assert "31 of 300 pictures show a face" in verdict.sentence
        assert "lost-faces" in codes(result)

    def test_pictures_taken_for_a_stranger(self, world, instruments) -> None:
        gallery, person = world.strangers(), world.person()
        stranger = gallery.photos[:4].mean(0, keepdim=True)
        pictures = {"none": world.photos(person, 30), "iddm": stranger.repeat(30, 1, 1, 1)}
        result = self.run(
            world, instruments, pictures=pictures, reference=world.photos(person, 4), gallery=gallery
        )
        assert "strangers-named" in codes(result)


def test_duplicates_survive_resizing_and_mirroring_but_not_another_shot(world) -> None:
    person = world.person()
    photos = world.photos(person, 5, noise=0.3)
    small = torch.nn.functional.interpolate(photos[:3], size=(32, 32), mode="bilinear", antialias=True)
    assert duplicates(small.flip(-1), photos) == 3
    assert duplicates(world.photos(person, 5, noise=0.3), photos) == 0
    assert duplicates(torch.zeros(2, 3, 48, 48), torch.zeros(2, 3, 48, 48)) == 0


def test_input_errors_say_what_to_do(world, instruments, settings) -> None:
    person = world.person()
    photos, gallery = world.photos(person, 3), world.strangers(5)
    blank = -torch.ones(3, 3, 48, 48)
    for pictures, reference, strangers, words in (
        ({}, photos, gallery, "no pictures"),
        ({"none": photos}, blank, gallery, "No face"),
        ({"none": photos[:0]}, photos, gallery, "Every arm"),
        ({"none": photos}, photos, Strangers(gallery.photos, [1]), "one label"),
        ({"none": photos}, photos, Strangers(photos, [1, 1, 1]), "fewer than two"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            audit(pictures, reference, strangers, instruments, settings=settings)
        assert caught.value.advice


def test_appearance_where_faces_are_missing(world, instruments) -> None:
    """Two people, an arm without the second one's face, and one without any; a lost face resembles nobody."""
    people = [world.person(), world.person()]
    references = [world.photos(each, 4) for each in people]
    arms = {
        "none": [world.photos(each, 3) for each in people],
        "half": [world.photos(people[0], 3), blank(3)],
        "gone": [blank(3), blank(3)],
        "attributes": [world.photos(-each, 3) for each in people],
    }
    shown = [
        Person(photos, {arm: pictures[index] for arm, pictures in arms.items()})
        for index, photos in enumerate(references)
    ]
    settings = AuditSettings(draws=50, null_draws=10)
    result = audit_people(shown, world.strangers(), instruments, settings=settings)
    none, half, gone, words = (arm.resemblance.appearance for arm in result.arms)
    assert none.pictures.value == pytest.approx(half.pictures.value, abs=0.1)
    assert math.isnan(gone.pictures.value)
    assert (none.first.value, half.first.value, gone.first.value) == (1.0, 0.5, 0.0)
    assert words.pictures.value < -0.5
    assert half.lift.overall == pytest.approx(half.pictures.value / 2, abs=0.05)  # words count as 0
    assert gone.lift.overall == pytest.approx(0.0)
    assert render_report(result)

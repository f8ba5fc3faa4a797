from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from visard.benchmark.catalogue import CATALOGUE, arms_of
from visard.benchmark.methods import ARMS, PERTURBED, Remembered, find_method
from visard.benchmark.protocol import Protocol, Unit, arm_settings, parse_arms
from visard.benchmark.unit import UnitJob
from visard.benchmark.variants import NAMED
from visard.benchmark.victims import HALF
from visard.errors import InputError
from visard.faces.detector import Face
from visard.kits import open_kit
from visard.progress import silent
from visard.protection.methods import METHODS
from visard.protection.settings import ProtectionSettings


def test_every_arm_of_every_table_is_known_and_no_two_do_the_same() -> None:
    arms = sorted({arm for table in CATALOGUE.values() for arm in arms_of(table)})
    methods = {arm: find_method(arm) for arm in arms}
    contents = [
        str(replace(each, arm=replace(each.arm, name="", settings=arm_settings(arm))))
        for arm, each in methods.items()
    ]
    assert len(set(contents)) == len(arms)
    assert set(PERTURBED.values()) <= set(METHODS)


def test_a_variant_differs_from_the_defended_arm_in_one_setting(protocol: Protocol) -> None:
    usual = Unit(7, "0.1", 0).settings(protocol)
    defended = [name for name, variant in NAMED.items() if variant.settings["defence"] == "iddm"]
    for arm in [*defended, "eta-0.05", "tau-0.1", "tmax-1000"]:
        own = Unit(7, arm, 0).settings(protocol)
        before, after = vars(usual.decoupling), vars(own.decoupling)
        assert len([name for name in before if before[name] != after[name]]) == 1, arm
        assert usual.fine_tuning == own.fine_tuning
        assert usual.seed == own.seed


@pytest.mark.parametrize(
    "arm",
    ["anti-dreambooth", "simac", "anti-diffusion", "random", "fsmg", "advdm", "mist", "photoguard", "caat"],
)
def test_arms_of_finished_units_keep_their_names(arm: str) -> None:
    for name in (arm, f"{arm}+clean"):
        found = find_method(name)
        assert (found.arm.name, found.protection, found.clean_too) == (name, {}, name != arm)


def test_victims_are_trained_without_a_defence() -> None:
    alone, beside = find_method("simac"), find_method("simac+clean")
    assert (alone.perturb, alone.clean_too) == ("simac", False)
    assert (beside.perturb, beside.clean_too) == ("simac", True)
    for name in ("simac", "simac+clean", "aspl", "half"):  # as DreamBooth: no photo comes last
        assert arm_settings(name) == {"defence": "none", "fine_tuning": {"alternate": False}}
    assert find_method("half").half
    assert not find_method("half").perturb


def test_every_protection_is_an_arm_as_in_the_paper_and_as_released() -> None:
    assert set(PERTURBED.values()) == set(METHODS)
    for name, method in METHODS.items():
        assert find_method(name).perturb == name
        assert find_method(name).arm.name == next(arm for arm in PERTURBED if PERTURBED[arm] == name)
        if method.released:
            found = find_method(f"{name}+released")
            assert (found.perturb, found.protection, found.clean_too) == (
                name,
                {"fidelity": "released"},
                False,
            )
        else:
            with pytest.raises(InputError, match="No difference"):
                find_method(f"{name}+released")
    assert parse_arms("aspl,anti-dreambooth,aspl+released+clean,targeted-aspl+clean+released") == [
        "anti-dreambooth",
        "anti-dreambooth+clean+released",
        "targeted-aspl+clean+released",
    ]


def test_a_protection_may_have_another_budget() -> None:
    found = find_method("aspl+full+eta-0.250+clean")
    assert found.arm.name == "anti-dreambooth+clean+full+eta-0.25"
    assert (found.clean_too, found.radius) == (True, 0.25)
    assert found.protection == {"methods": {"aspl": {"rounds": 50, "surrogate_steps": 3, "pgd_steps": 6}}}
    assert arm_settings("simac+eta-0.25") == arm_settings("simac")  # the victim's are the same


def test_all_steps_of_a_paper_leave_what_goes_by_the_model() -> None:
    """Of the kit's settings those for its small model stay, those that save time go."""
    kit = ProtectionSettings().with_preset(open_kit("world").protection)
    for name in ("aspl", "simac", "anti-diffusion", "caat"):
        full = kit.with_preset(find_method(f"{name}+full").protection).methods[name]
        paper = asdict(METHODS[name].options_type())  # type: ignore[misc]
        differs = {each for each in full if full[each] != paper[each]}
        assert differs <= {"map_side", "learning_rate"}
        assert kit.methods[name] != full
        assert all(full[each] == kit.methods[name][each] for each in differs)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("simac+eta", "no arm"),
        ("simac+eta-0", "no arm"),
        ("simac+full-2", "no arm"),
        ("simac+clean-2", "no arm"),
        ("simac+tau-0.1", "no arm"),
        ("simac+eta-0.1+eta-0.2", "no arm"),
        ("random+full", "has no steps"),
        ("attributes@7.5", "no arm"),
        ("strangers@7.5", "no arm"),
        ("strength-0.5@7.5", "no arm"),
        ("strength-much", "no arm"),
        ("none@7.5@3", "no arm"),
        ("none@", "no arm"),
        ("none@much", "no arm"),
        ("@7.5", "no arm"),
    ],
)
def test_what_cannot_be_asked_of_a_method_is_no_arm(name: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        find_method(name)


def test_models_that_draw_again_have_an_arm_of_their_own() -> None:
    for name in ("none", "0.1", "eta-0.05", "simac+clean", "early-50"):
        found = find_method(f"{name}@7.50").arm
        assert (found.name, found.kind, found.of, found.strength) == (f"{name}@7.5", "redrawn", name, 7.5)
        assert arm_settings(found.name) == {"defence": "none"}


def test_what_arms_are_called_is_said() -> None:
    with pytest.raises(InputError, match="There is no arm") as caught:
        find_method("nonsense")
    assert "visard bench arms" in caught.value.advice


@pytest.mark.parametrize(
    ("arm", "example"),
    [
        ("early-N", "early-150"),
        ("0 to 1", "0.35"),
        ("eta-X, tau-X, rounds-N, tmax-N", "tau-0.02"),
        ("surrogates-N", "surrogates-2"),
        ("METHOD+clean", "mist+clean"),
        ("METHOD+released", "simac+released"),
        ("METHOD+full", "caat+full"),
        ("METHOD+eta-X", "simac+eta-0.25"),
        ("ARM@G", "0.1@7.5"),
        ("strength-S", "strength-0.5"),
        ("pixelate-N, blur-N", "pixelate-8"),
        ("strangers, strangers-ARM", "strangers-0.1"),
    ],
)
def test_every_arm_in_the_list_is_one(arm: str, example: str) -> None:
    assert arm in ARMS
    assert find_method(example).arm.name == example


def test_every_plain_name_in_the_list_is_an_arm() -> None:
    plain = [name for names in ARMS for name in names.split(", ") if not any(map(str.isupper, name))]
    plain.remove("0 to 1")
    assert [find_method(name).arm.name for name in plain] == plain
    assert {*NAMED, *PERTURBED, HALF, "none", "attributes", "strangers"} <= set(plain)


def test_more_surrogates_than_the_kit_has_are_refused(protocol: Protocol, kit: str, bench: Path) -> None:
    with pytest.raises(InputError, match=r"takes 2 surrogates; the kit small has one\."):
        UnitJob(Unit(7, "surrogates-2", 0), protocol, bench).train(open_kit(kit))


def test_a_number_is_written_in_one_way() -> None:
    assert find_method("eta-0.10").arm.name == "eta-0.1"
    for wrong in ("eta-nan", "eta--1", "rounds-0", "rounds-1.5", "surrogates--1", "early-0"):
        with pytest.raises(InputError, match="There is no arm"):
            find_method(wrong)
    with pytest.raises(InputError, match="There is no arm") as caught:
        find_method("simac+dirty")
    assert "+clean, +released, +full and +eta-X" in caught.value.advice


def test_a_victims_photos_are_perturbed_as_its_arm_says(
    protocol: Protocol, kit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BegunError(Exception):
        """With these arguments."""

    def begin(*given: object, **named: object) -> None:
        raise BegunError(*given, named)

    monkeypatch.setattr("visard.protection.protect.protect", begin)
    photos = torch.linspace(-1, 1, 4)[:, None, None, None].expand(4, 3, 16, 16)
    made: dict[str, ProtectionSettings] = {}
    for arm in ("simac", "simac+released", "targeted-aspl", "simac+eta-0.25"):
        job = UnitJob(Unit(7, arm, 0), protocol, tmp_path)
        with pytest.raises(BegunError) as caught:
            job._perturbed(photos, open_kit(kit), silent)
        made[arm], perturbed, _, named = caught.value.args
        assert torch.equal(perturbed, photos[2:])  # X_0; X_c is for surrogates to learn from
        assert torch.equal(named["clean"], photos[:2])
    decoupling = Unit(7, "0.1", 0).settings(protocol).decoupling
    for arm, (method, fidelity, radius) in {
        "simac": ("simac", "paper", decoupling.radius),
        "simac+released": ("simac", "released", decoupling.radius),
        "targeted-aspl": ("targeted-aspl", "paper", decoupling.radius),
        "simac+eta-0.25": ("simac", "paper", 0.25),
    }.items():  # the very ball and step that the defence has
        each = made[arm]
        assert (each.method, each.fidelity, each.radius, each.step) == (
            method,
            fidelity,
            radius,
            decoupling.step,
        )
    assert replace(made["simac"], fidelity="released") == made["simac+released"]


@pytest.mark.parametrize("arm", ["simac+dirty", "eta-much", "rounds-1.5", "nonsense"])
def test_unknown_arms_are_refused(arm: str) -> None:
    with pytest.raises(InputError):
        parse_arms(arm)


def test_what_an_arm_is_stands_in_its_key_and_old_keys_stay(protocol: Protocol) -> None:
    keys = {Unit(7, arm, 0).key(protocol) for arm in ("none", "0.1", "eta-0.05", "eta-0.1", "simac")}
    assert len(keys) == 5
    assert "people" not in protocol.content


def test_perturbed_photos_keep_the_faces_that_were_found() -> None:
    face = Face(torch.tensor([0.0, 0, 9, 9]), 0.9, torch.zeros(5, 2))
    detector = Remembered("tiny", "", "", [[face], [face]])
    assert detector.detect(torch.zeros(2, 3, 8, 8)) == [[face], [face]]
    with pytest.raises(InputError, match="3 pictures for 2 photos"):
        detector.detect(torch.zeros(3, 3, 8, 8))

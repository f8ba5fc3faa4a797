from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from support.bench import LINEUP, SAMPLING
from visard.benchmark.protocol import (
    Protocol,
    Unit,
    arm_title,
    build_protocol,
    parse_arms,
    parse_overrides,
    said,
)
from visard.benchmark.result import REDRAWN_FILE, read_result, write_result
from visard.errors import InputError
from visard.faces.scrfd import DetectorRow
from visard.kits import Kit, open_kit
from visard.storage import save_tensors


def test_arms_are_none_and_shares_each_once() -> None:
    assert parse_arms("none, .1,0.10,0.5") == ["none", "0.1", "0.5"]
    for wrong in ("", "low", "1.5", "nan"):
        with pytest.raises(InputError):
            parse_arms(wrong)


def test_overrides_are_nested_and_typed_as_in_toml() -> None:
    table = parse_overrides(
        ["decoupling.t_max=1000", "decoupling.anchor=round", "train_text_encoder=false", "lora.rank = 4"]
    )
    assert table == {
        "decoupling": {"t_max": 1000, "anchor": "round"},
        "train_text_encoder": False,
        "lora": {"rank": 4},
    }
    with pytest.raises(InputError, match="sets nothing"):
        parse_overrides(["decoupling.t_max"])


def test_overrides_reach_the_units_settings_and_their_key(kit: str, protocol: Protocol) -> None:
    overrides = parse_overrides(["decoupling.t_max=999", "fine_tuning.learning_rate=1e-5"])
    other = build_protocol(open_kit(kit), overrides, SAMPLING, LINEUP)
    unit = Unit(7, "0.3", 0)
    settings = unit.settings(other)
    assert (settings.decoupling.t_max, settings.fine_tuning.learning_rate) == (999, 1e-5)
    assert (settings.decoupling.rho, settings.defence) == (0.3, "iddm")
    assert settings.fine_tuning.steps == 4  # what the kit says stays
    assert unit.key(other) != unit.key(protocol)


def test_another_kit_is_refused_by_its_models(kit: str, protocol: Protocol) -> None:
    protocol.require(open_kit(kit))
    exchanged = Path(kit).with_name("exchanged.toml")
    text = Path(kit).read_text(encoding="utf-8").replace("b.safetensors", "d.safetensors")
    exchanged.write_text(text, encoding="utf-8")
    (Path(kit).with_name("d.safetensors")).write_bytes(Path(kit).with_name("c.safetensors").read_bytes())
    with pytest.raises(InputError, match=r"is not the one .* differs in arcface\.") as caught:
        protocol.require(open_kit(exchanged))
    assert "--kit" in caught.value.advice


def test_a_kit_that_perturbs_otherwise_is_another_protocol(
    kit: str, protocol: Protocol, tmp_path: Path
) -> None:
    protocol.claim(tmp_path)
    edited = Path(kit).with_name("edited.toml")
    contents = Path(kit).read_text(encoding="utf-8")
    edited.write_text(f"{contents}\n[protection]\naspl = {{ rounds = 3 }}\n", encoding="utf-8")
    other = build_protocol(open_kit(edited), {}, SAMPLING, LINEUP)
    assert other.protection == {"aspl": {"rounds": 3}}
    assert Unit(7, "aspl", 0).key(other) != Unit(7, "aspl", 0).key(protocol)
    with pytest.raises(InputError, match=r"differs in protection"):
        other.claim(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ("{ size = 32 }", '{ size = 32, channels = "BGR" }', "adaface, arcface, one"),
        ("sizes = [64]", "sizes = [96]", "tiny"),
        ('name = "tiny"', 'name = "tiny"\nthreshold = 0.4', "tiny"),
    ],
)
def test_a_kit_whose_models_are_read_otherwise_is_another_protocol(
    kit: str, protocol: Protocol, tmp_path: Path, before: str, after: str, names: str
) -> None:
    protocol.claim(tmp_path)
    other = exchanged(kit, tmp_path, before, after)
    changed = build_protocol(other, {}, SAMPLING, LINEUP)
    assert changed.models == protocol.models
    with pytest.raises(InputError, match=rf"it differs in {names}\."):
        protocol.require(other)
    with pytest.raises(InputError, match=r"differs in rows\."):
        changed.claim(tmp_path)


def test_the_order_of_recognisers_is_the_protocols(kit: str, protocol: Protocol) -> None:
    opened = open_kit(kit)
    opened.contents = replace(opened.contents, recognizers=opened.contents.recognizers[::-1])
    with pytest.raises(InputError, match="differs in adaface, one"):
        protocol.require(opened)


def test_a_folder_of_an_earlier_version_is_accepted_and_learns_the_rows(
    kit: str, protocol: Protocol, tmp_path: Path
) -> None:
    """Its units keep their keys; from then on, another reading of the models is refused."""
    earlier = replace(protocol, rows={})
    unit = Unit(7, "0.1", 0)
    assert unit.key(earlier) == unit.key(protocol)
    earlier.claim(tmp_path)
    assert "rows" not in json.loads((tmp_path / "bench.json").read_text())
    other = exchanged(kit, tmp_path, "sizes = [64]", "sizes = [96]")
    Protocol.of(tmp_path).require(other)
    protocol.claim(tmp_path)
    assert Protocol.of(tmp_path) == protocol
    earlier.claim(tmp_path)
    assert Protocol.of(tmp_path) == protocol
    with pytest.raises(InputError, match=r"differs in rows\.tiny"):
        build_protocol(other, {}, SAMPLING, LINEUP).claim(tmp_path)


def test_another_describer_has_units_scored_anew_and_not_made_anew(
    protocol: Protocol, tmp_path: Path
) -> None:
    unit = Unit(7, "0.1", 0)
    protocol.claim(tmp_path)
    write_scores(unit, protocol, tmp_path)
    assert read_result(unit, protocol, tmp_path) is not None
    for by in ("one", "another"):
        described = replace(protocol, scored_by={"describer": by})
        assert unit.key(described) == unit.key(protocol)
        described.claim(tmp_path)
        assert Protocol.of(tmp_path) == described
        assert read_result(unit, described, tmp_path) is None
        write_scores(unit, described, tmp_path)
        assert read_result(unit, described, tmp_path) is not None


def write_scores(unit: Unit, protocol: Protocol, out: Path) -> None:
    prompts = {prompt: {"pictures": 1, "faces": 1} for prompt in protocol.sampling.prompts}
    write_result(unit, protocol, out, {"prompts": prompts}, {}, {})
    save_tensors(unit.folder(out) / REDRAWN_FILE, {}, {})


def test_a_setting_that_a_later_version_knows_changes_no_row() -> None:
    row = DetectorRow("tiny", "scrfd_micro", Path("a.safetensors"), threshold=0.4)
    assert said(row) == {"name": "tiny", "architecture": "scrfd_micro", "threshold": 0.4}
    assert said(replace(row, file=Path("b"), zoo="scrfd", licence="MIT", margin=0.0)) == said(row)


def exchanged(kit: str, folder: Path, before: str, after: str) -> Kit:
    """The kit with another line, opened."""
    home = Path(shutil.copytree(Path(kit).parent, folder / "kit"))
    text = (home / Path(kit).name).read_text(encoding="utf-8")
    assert before in text
    (home / Path(kit).name).write_text(text.replace(before, after), encoding="utf-8")
    return open_kit(home / Path(kit).name)


def test_the_usual_decoder_stands_in_keys_as_ever(protocol: Protocol) -> None:
    assert protocol.content["settings"]["decoupling"]["decoder"] == "vae"


def test_a_misspelt_override_is_answered_with_the_nearest(kit: str) -> None:
    with pytest.raises(InputError) as caught:
        build_protocol(open_kit(kit), parse_overrides(["decoupling.tmax=999"]), SAMPLING, LINEUP)
    assert "decoupling.t_max" in caught.value.advice


@pytest.mark.parametrize("assignment", ["seed=1", "defence=none", "decoupling.rho=0.2"])
def test_what_arms_decide_cannot_be_set(kit: str, assignment: str) -> None:
    with pytest.raises(InputError, match="arm and seed"):
        build_protocol(open_kit(kit), parse_overrides([assignment]), SAMPLING, LINEUP)


def test_arms_of_a_person_share_the_seed_and_people_do_not() -> None:
    assert Unit(7, "none", 0).run_seed == Unit(7, "0.1", 0).run_seed
    others = {Unit(person, "none", seed).run_seed for person in (7, 8) for seed in (0, 1)}
    assert len(others) == 4


def test_arms_differ_in_nothing_but_the_defence(protocol: Protocol) -> None:
    none, defended = (Unit(7, arm, 0).settings(protocol) for arm in ("none", "0.1"))
    assert none.with_preset({"defence": "iddm", "decoupling": {"rho": 0.1}}) == defended


def test_a_protocol_comes_back_from_its_folder(protocol: Protocol, tmp_path: Path) -> None:
    protocol.claim(tmp_path)
    protocol.claim(tmp_path)
    assert Protocol.of(tmp_path) == protocol
    with pytest.raises(InputError, match="no benchmark"):
        Protocol.of(tmp_path / "elsewhere")


def test_arms_are_titled_by_what_they_are() -> None:
    assert [arm_title(arm) for arm in ("none", "0.1", "simac+clean")] == ["none", "rho 0.1", "simac+clean"]

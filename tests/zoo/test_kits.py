"""Kits that name published models, and whose their models are."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.kits import recognizer_row, write_kit, write_networks
from support.onnx import write_mean
from visard.errors import InputError, ModelError
from visard.faces.recognizer import InputSpec
from visard.kits import Kit, open_kit
from visard.personalization.settings import PersonalizationSettings
from visard.zoo import table
from visard.zoo.examine import take_in
from visard.zoo.table import find

EXAMPLE = Path(__file__).parents[2] / "examples" / "zoo-kit.toml"
SHIPPED = table.TABLE


def kit(folder: Path, rows: str) -> Kit:
    write_networks(folder)
    return open_kit(write_kit(folder, rows))


def zoo_row(name: str, role: str, more: str = "") -> str:
    return f'[[recognizers]]\nzoo = "{name}"\nrole = "{role}"\n{more}\n'


def test_a_row_need_not_repeat_what_the_table_knows(tmp_path: Path, published: Path) -> None:
    take_in(find("small"), published)
    found = kit(tmp_path, zoo_row("small", "surrogate") + recognizer_row("two", "judge", "b.safetensors"))
    (surrogate,), (judge,) = found.surrogates(), found.judges()
    assert (surrogate.name, surrogate.family, surrogate.spec) == ("small", "MobileFaceNet", InputSpec(32))
    assert judge.name == "two"


def test_what_a_row_says_itself_goes_first(tmp_path: Path, published: Path) -> None:
    take_in(find("small"), published)
    more = 'name = "mine"\ninput = { size = 32, channels = "BGR" }'
    (mine,) = kit(tmp_path, zoo_row("small", "judge", more)).judges()
    assert (mine.name, mine.spec.channels) == ("mine", "BGR")


def test_a_model_that_is_not_here_is_asked_for_when_it_is_needed(tmp_path: Path) -> None:
    found = kit(tmp_path, zoo_row("small", "judge"))
    with pytest.raises(ModelError) as caught:
        found.judges()
    assert "visard models add FILE --as small" in caught.value.advice


def test_a_file_exchanged_after_it_was_added_is_refused(
    tmp_path: Path, published: Path, models: Path
) -> None:
    take_in(find("small"), published)
    found = kit(tmp_path, zoo_row("small", "judge"))
    (models / "small" / "small.pth").write_bytes(b"other")
    with pytest.raises(ModelError, match="not the file"):
        found.judges()


def test_wrong_names_and_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no published model 'smal'"):
        kit(tmp_path, zoo_row("smal", "judge"))
    with pytest.raises(InputError, match="finder is no recognizer"):
        kit(tmp_path, zoo_row("finder", "judge"))


def test_a_model_without_gradient_is_no_surrogate(tmp_path: Path) -> None:
    take_in(find("foreign"), write_mean(tmp_path / "mean.onnx", 8))
    assert kit(tmp_path, zoo_row("foreign", "judge")).judges()
    with pytest.raises(ModelError, match="foreign has no gradient"):
        kit(tmp_path, zoo_row("foreign", "surrogate"))


def test_every_models_licence_is_told(tmp_path: Path) -> None:
    rows = zoo_row("small", "surrogate") + recognizer_row("two", "judge", "b.safetensors")
    found = {each.model: each for each in kit(tmp_path, rows).licences()}
    assert found["small"].weights == "non-commercial research only"
    assert (found["small"].role, found["small"].training) == ("surrogate", "nobody")
    assert found["two"].weights == found["tiny"].weights == found["model"].weights == "not stated in the kit"
    file = write_kit(tmp_path, rows)
    own = 'licence = "Apache-2.0"\n' + file.read_text().replace('backbone = "model"', 'backbone = "base"')
    file.write_text(own.replace('name = "two"', 'name = "two"\nlicence = "mine"'))
    found = {each.model: each for each in open_kit(file).licences()}
    assert (found["tiny"].weights, found["two"].weights) == ("Apache-2.0", "mine")
    assert found["base"].weights == "CreativeML Open RAIL-M"


@pytest.mark.parametrize("place", ["../private/sd", "/home/somebody/private/sd"])
def test_where_a_base_model_lies_is_told_nobody(tmp_path: Path, place: str) -> None:
    (tmp_path / "private" / "sd").mkdir(parents=True)
    (tmp_path / "kit").mkdir()
    file = write_kit(tmp_path / "kit", recognizer_row("two", "judge", "b.safetensors"))
    file.write_text(file.read_text().replace('backbone = "model"', f'backbone = "{place}"'))
    assert open_kit(file).licences()[0].model == "sd"


def test_the_worlds_models_are_the_projects_own() -> None:
    assert {each.weights for each in open_kit("world").licences()} == {"Apache-2.0"}


def test_the_example_kit_names_four_surrogates_and_four_judges_of_other_families(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table, "TABLE", SHIPPED)
    example = open_kit(EXAMPLE)
    families = {
        role: {row.family for row in example.contents.recognizers if row.role == role}
        for role in ("surrogate", "judge")
    }
    assert len(families["surrogate"]) == len(families["judge"]) == 4
    assert not families["surrogate"] & families["judge"]
    PersonalizationSettings().with_preset(example.personalization)
    assert "not stated in the kit" not in {each.weights for each in example.licences()}
    with pytest.raises(ModelError) as caught:
        example.surrogates()
    assert "--as irse50" in caught.value.advice

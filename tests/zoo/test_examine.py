"""Taking in published files and looking at them again: what is wrong is refused, and the reason is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from support.onnx import write_mean
from visard.errors import InputError, ModelError
from visard.faces.detector import Detector
from visard.faces.recognizer import Recognizer
from visard.storage import sha256, user_folder
from visard.zoo import records, table
from visard.zoo.examine import AGREES, KEPT, UNKNOWN, Models, examine, take_in
from visard.zoo.examine import published as published_models
from visard.zoo.folder import added, file_of, load, models_folder
from visard.zoo.records import record, similarities
from visard.zoo.table import find


def nobody() -> Detector:
    raise AssertionError("no detector was needed")


def look(name: str = "", *, keep: bool = False) -> list[str]:
    return [each.recorded for each in examine(published_models(name), other_detector=nobody, keep=keep)]


def test_a_file_is_loaded_copied_and_remembered(published: Path, models: Path) -> None:
    taken = take_in(find("small"), published)
    assert file_of(find("small")) == models / "small" / "small.pth"
    assert (models / "small" / "small.pth").read_bytes() == published.read_bytes()
    present = added("small")
    assert present is not None
    assert present.sha256 == taken.sha256 == sha256(published)
    assert [warning for warning in taken.warnings if "not recorded yet" in warning]


def test_a_link_leaves_the_file_where_it_is(published: Path, models: Path) -> None:
    take_in(find("small"), published, link=True)
    assert (models / "small" / "small.pth").is_symlink()
    assert look("small") == [UNKNOWN]


def test_a_file_none_has_published_is_pointed_out(published: Path) -> None:
    table.TABLE.write_text(
        table.TABLE.read_text().replace('family = "Mobile', f'sha256 = ["{"0" * 64}"]\nfamily = "Mobile')
    )
    warnings = take_in(find("small"), published).warnings
    assert any("none of the files whose SHA-256 is known" in warning for warning in warnings)


def test_what_is_recorded_must_come_again(published: Path) -> None:
    take_in(find("small"), published)
    assert look("small") == [UNKNOWN]
    assert look("small", keep=True) == [KEPT]
    assert look() == [AGREES]


@pytest.mark.parametrize(
    ("declared", "meant"),
    [
        ("channels = 'BGR'", "they are those of RGB input"),
        ("mean = 0.0, scale = 255.0", "they are those of input (255 x - 127.5) / 127.5"),
        ("channels = 'BGR', mean = 0.0, scale = 255.0", ""),  # two faults at once are seen, not guessed
    ],
)
def test_a_wrong_input_is_refused_and_the_right_one_named(published: Path, declared: str, meant: str) -> None:
    """Recorded as RGB -1..1; then the table is edited to say otherwise."""
    take_in(find("small"), published)
    look(keep=True)
    wrong = f"input = {{ size = 32, {declared} }}"
    table.TABLE.write_text(table.TABLE.read_text().replace("input = { size = 32 }", wrong))
    (finding,) = examine(published_models("small"), other_detector=nobody)
    assert "off the recorded ones" in finding.wrong
    assert meant in finding.wrong
    with pytest.raises(ModelError, match="not read as it was trained"):
        take_in(find("small"), published)


def without(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda state: {name: value for name, value in state.items() if name != key}


def changed(key: str, value: torch.Tensor) -> Callable[[dict[str, Any]], Any]:
    return lambda state: {**state, key: value}


class Intruder:
    """What a malicious file would hold: an object that acts when it is loaded."""

    def __reduce__(self) -> tuple[type[Exception], tuple[str]]:
        return (RuntimeError, ("code ran",))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (without("model.linear.weight"), r"lacks 1 of .* weights, model\.linear\.weight among"),
        (changed("model.linear.weight", torch.zeros(9, 8)), r"shape \(9, 8\) where \(8, 8\)"),
        (changed("model.linear.weight", torch.full((8, 8), torch.nan)), "not finite"),
        (changed("model.extra", torch.zeros(1)), r"the network has not, model\.extra among"),
        (lambda state: {"other": state}, "lacks|not a table of tensors"),
        (lambda state: {"model.linear.weight": Intruder()}, "would run code"),
    ],
)
def test_files_that_are_not_the_model_are_refused_and_nothing_is_left(
    published: Path, models: Path, spoil: Callable[[dict[str, Any]], Any], reason: str
) -> None:
    state = torch.load(published, weights_only=True)["state_dict"]
    torch.save({"state_dict": spoil(state)}, published)
    with pytest.raises(ModelError, match=reason):
        take_in(find("small"), published)
    assert not models.exists()


def test_cut_and_foreign_files_are_refused(published: Path, tmp_path: Path) -> None:
    published.write_bytes(published.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"cannot be read|would run code"):
        take_in(find("small"), published)
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(3)}, other)
    with pytest.raises(ModelError, match="lacks"):
        take_in(find("small"), other)
    other.write_bytes(other.read_bytes()[:20])
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        take_in(find("small"), other)
    with pytest.raises(InputError, match="There is no file"):
        take_in(find("small"), tmp_path / "nowhere.pth")


def test_an_onnx_judge_is_taken_in(tmp_path: Path) -> None:
    take_in(find("foreign"), write_mean(tmp_path / "w600k.onnx", 8))
    model = load(find("foreign"), file_of(find("foreign")))
    assert isinstance(model, Recognizer)
    assert file_of(find("foreign")).name == "w600k.onnx"


def test_what_was_added_must_be_what_is_there(published: Path, models: Path) -> None:
    take_in(find("small"), published)
    (models / "small" / "small.pth").write_bytes(b"other")
    with pytest.raises(ModelError, match="another file than was added"):
        published_models("small")


def test_what_is_not_here_is_said_with_its_source() -> None:
    with pytest.raises(InputError) as caught:
        published_models("small")
    assert "https://example.org/small" in caught.value.advice
    with pytest.raises(InputError, match="No published model is here"):
        published_models()


def test_embeddings_that_are_no_numbers_are_wrong(published: Path) -> None:
    model = load(find("small"), published)
    assert isinstance(model, Recognizer)
    model.network.bn.running_var.fill_(torch.nan)
    (finding,) = examine(Models([], [(model, "0" * 64)]), other_detector=nobody)
    assert finding.wrong == "its embeddings are not numbers"


def test_records_that_ship_and_those_made_here_are_both_known(published: Path) -> None:
    model = load(find("small"), published)
    assert isinstance(model, Recognizer)
    record("small", "a" * 64, similarities(model))
    records.RECORDS.write_text(
        (models_folder() / records.RECORDS.name).read_text().replace("a" * 64, "b" * 64)
    )
    assert records.records().keys() == {"a" * 64, "b" * 64}


def test_another_record_leaves_the_comments_above_the_first(models: Path) -> None:
    models.mkdir()
    file = models / records.RECORDS.name
    file.write_text("# Similarities of 15 pairs.\n# Two lines.\n\n")
    for digest in ("a" * 64, "b" * 64):
        record("small", digest, torch.arange(15.0))
        assert file.read_text().startswith(f"# Similarities of 15 pairs.\n# Two lines.\n\n[{'a' * 64}]\n")
    assert records.records().keys() == {"a" * 64, "b" * 64}


def test_a_record_of_other_pictures_is_refused() -> None:
    records.RECORDS.write_text(f'["{"a" * 64}"]\nname = "small"\nsimilarities = [0.5]\n')
    with pytest.raises(InputError, match="15 similarities, not 1"):
        records.records()


def test_the_folder_lies_where_the_user_says_or_among_the_users_data(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert models_folder() == models
    monkeypatch.delenv("VISARD_MODELS")
    assert models_folder() == user_folder("data") / "models"

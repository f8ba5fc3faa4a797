"""The table that ships: every model can be built, and says whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from visard.diffusion.sources import ALIASES
from visard.errors import InputError
from visard.faces.architectures import ARCHITECTURES
from visard.faces.recognizer import RecognizerRow
from visard.faces.scrfd import DetectorRow
from visard.kits import WORLD
from visard.settings import from_table, read_toml
from visard.zoo import table
from visard.zoo.records import Record
from visard.zoo.table import Entry, entries, find

SHIPPED = Path(table.__file__).with_name("models.toml")
NAMES = list(read_toml(SHIPPED))


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> dict[str, Entry]:
    monkeypatch.setattr(table, "TABLE", SHIPPED)
    return entries()


def test_it_knows_the_models_of_the_paper_and_more(shipped: dict[str, Entry]) -> None:
    wanted = {
        *("irse50", "ir152", "mobilefacenet", "facenet"),  # surrogates
        *("arcface_r50", "arcface_r100", "adaface_ir50", "adaface_ir101", "magface", "elasticface"),
        *("edgeface_xs", "edgeface_xxs", "w600k_r50", "scrfd_500m", "retinaface_mobilenet"),
    }
    assert wanted <= shipped.keys()
    assert {name for name, entry in shipped.items() if entry.kind == "base"} == ALIASES.keys()


@pytest.mark.parametrize("name", NAMES)
def test_every_row_can_be_built(name: str, shipped: dict[str, Entry]) -> None:
    entry = shipped[name]
    assert entry.code_licence
    assert entry.weights_licence
    assert entry.source.startswith("https://")
    if entry.kind == "base":
        return
    row = entry.row(Path("weights"))
    assert isinstance(row, RecognizerRow if entry.kind == "recognizer" else DetectorRow)
    assert row.zoo == name
    assert entry.differentiable is (row.architecture in ARCHITECTURES)
    if entry.differentiable:
        with torch.device("meta"):
            ARCHITECTURES[row.architecture](**row.config)


def test_channel_order_and_range_are_those_of_the_specification(shipped: dict[str, Entry]) -> None:
    def given(name: str) -> tuple[int, str, float, float]:
        spec = shipped[name].input
        assert spec is not None
        return spec.size, spec.channels, spec.mean, spec.scale

    for name in ("irse50", "ir152", "mobilefacenet", "arcface_r100", "elasticface", "edgeface_xs"):
        assert given(name) == (112, "RGB", 127.5, 127.5)
    assert given("facenet") == (160, "RGB", 127.5, 128.0)
    assert given("adaface_ir50") == (112, "BGR", 127.5, 127.5)
    assert given("magface") == (112, "BGR", 0.0, 255.0)


def test_the_shipped_records_are_of_models_that_ship_or_stand_in_the_table(shipped: dict[str, Entry]) -> None:
    ship = {digest: file for file, digest in read_toml(WORLD)["sha256"].items()}
    names = set()
    for digest, values in read_toml(SHIPPED.with_name("records.toml")).items():
        record = from_table(Record, values)
        assert table.DIGEST.fullmatch(digest)
        names.add(record.name)
        if digest in ship:
            assert ship[digest].endswith(f"/{record.name}.safetensors")
        else:
            known = shipped[record.name].sha256
            assert not known or digest in known
    assert names >= {Path(file).stem for file in ship.values() if "/" in file}


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        find("smal")
    assert "small" in caught.value.advice


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('architecture = "onnx"', 'architecture = "resnet"', "unknown architecture 'resnet'"),
        ("input = { size = 8 }\n", "", "says nothing of its input"),
        ('files = ["mean.onnx"]\n', "", "names no file"),
        ('family = "Mean"', 'family = "Mean"\nsha256 = ["abc"]', "sha256 that is none"),
        ('family = "Mean"', 'family = "Mean"\nlicense = "MIT"', "no setting foreign.license"),
    ],
)
def test_a_wrong_table_is_refused_with_the_reason(old: str, new: str, reason: str) -> None:
    table.TABLE.write_text(table.TABLE.read_text().replace(old, new))
    with pytest.raises(InputError, match=reason):
        entries()


def test_a_base_model_is_no_file_to_add() -> None:
    with pytest.raises(InputError, match="is a base model"):
        find("base").row(Path("x"))

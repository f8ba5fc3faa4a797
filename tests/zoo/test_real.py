"""Real weights on the known pictures and on real people: the records, and that they catch a wrong row."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from visard.faces.recognizer import Recognizer
from visard.faces.scrfd import OnnxNetwork, Scrfd
from visard.storage import sha256
from visard.zoo import records, table
from visard.zoo.examine import AGREES, Models, examine
from visard.zoo.folder import load
from visard.zoo.people import People, read_people
from visard.zoo.separation import separation
from visard.zoo.table import find

pytestmark = pytest.mark.real

SHIPPED, RECORDS = table.TABLE, records.RECORDS
FILES = {
    "mobilefacenet_y1": "mobilefacenet-y1-128d.safetensors",
    "reidentification_0095": "openvino/face-reidentification-retail-0095.xml",
}


@pytest.fixture(autouse=True)
def shipped(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "TABLE", SHIPPED)
    monkeypatch.setattr(records, "RECORDS", RECORDS)


def look(model: Recognizer, file: Path) -> str:
    (finding,) = examine(Models([], [(model, sha256(file))]), other_detector=lambda: pytest.fail("not asked"))
    assert bool(finding.wrong) is (finding.recorded != AGREES)
    return finding.recorded


@pytest.mark.parametrize("name", FILES)
def test_the_recorded_similarities_come_again_and_catch_a_wrong_row(name: str, real_data: Path) -> None:
    file = real_data / "models" / FILES[name]
    model = cast("Recognizer", load(find(name), file))
    assert look(model, file) == AGREES
    right = model.spec.channels
    swapped = replace(model.spec, channels="BGR" if right == "RGB" else "RGB")
    assert f"they are those of {right} input" in look(model.reading(swapped), file)
    assert "off the recorded ones" in look(model.reading(replace(model.spec, mean=0.0, scale=255.0)), file)


@pytest.fixture(scope="module")
def people(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> People:
    """Ten people, three photos of each (LFW names the person in the middle)."""
    folder = tmp_path_factory.mktemp("people")
    for person in sorted((real_data / "photos" / "lfw10x10").iterdir()):
        (folder / person.name).mkdir()
        for file in sorted(person.iterdir())[:3]:
            shutil.copy(file, folder / person.name)
    detector = Scrfd(OnnxNetwork(real_data / "models" / "scrfd_500m_kps.onnx"), sizes=(320,))
    found = read_people(folder, detector)
    assert found.detected == "faces in 30 of 30 photos"
    return found


@pytest.mark.parametrize("name", FILES)
def test_the_declared_input_tells_real_people_apart_best(
    name: str, real_data: Path, people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    model = cast("Recognizer", load(find(name), real_data / "models" / FILES[name]))
    found = separation(model, people)
    with capsys.disabled():
        print(f"\n{name}: separation {found.declared:.2f} as declared ({found.mated} mated, ", end="")
        print(
            f"{found.others} other pairs); {', '.join(f'{w} {v:.2f}' for w, v in found.alternatives.items())}"
        )
    assert found.warning == ""
    assert (found.mated, found.others) == (30, 405)
    assert separation(model.reading(replace(model.spec, mean=0.0, scale=255.0)), people).warning

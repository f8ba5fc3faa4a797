"""From real photos through real recognisers to a personalised model and its audit, as a user would go.

The base model is the micro one with random weights: it shows nobody, so its pictures must link to nobody,
while photos of the person beside them must.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from safetensors.torch import load_file

from visard.api import audit, generate, open_kit, personalize
from visard.audit.result import JudgeFigures
from visard.diffusion.blueprints import write_blueprint
from visard.errors import ModelError
from visard.images import center_crop, read_image, save_image
from visard.kits import Kit
from visard.personalization.settings import PersonalizationSettings

EXAMPLE = Path(__file__).parent.parent / "examples" / "real-kit.toml"
SIDE = 128
ROUNDS = 2
STEPS = {
    "fine_tuning": {"steps": 2 * ROUNDS, "batch": 1, "class_batch": 1},
    "prior": {"count": 1, "sampler_steps": 1},
    "decoupling": {"rounds": ROUNDS, "pgd_steps": 2, "rho": 0.5},
}


@pytest.fixture(scope="module")
def kit(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """The example kit where a user would have put it: beside the models it names."""
    folder = tmp_path_factory.mktemp("real")
    shutil.copy(EXAMPLE, folder)
    (folder / "models").symlink_to(real_data / "models")
    return open_kit(folder / EXAMPLE.name, "cpu")


def copies(files: Sequence[Path], folder: Path) -> Path:
    """Photos at the size of the model's pictures."""
    for index, file in enumerate(files):
        save_image(center_crop(read_image(file), SIDE), folder / f"{index:02d}.png")
    return folder


def photos_of(real_data: Path, *sets: str) -> list[Path]:
    return [file for name in sets for file in sorted((real_data / "photos" / "person-512" / name).iterdir())]


@pytest.fixture(scope="module")
def strangers(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten people, two photos each."""
    folder = tmp_path_factory.mktemp("strangers")
    for person in sorted((real_data / "photos" / "lfw10x10").iterdir()):
        copies(sorted(person.glob("*.jpg"))[:2], folder / person.name)
    return folder


def test_the_example_kit_is_read_before_its_files_are_there() -> None:
    kit = open_kit(EXAMPLE, "cpu")
    assert [row.role for row in kit.contents.recognizers] == ["surrogate", "judge"]
    PersonalizationSettings().with_preset(kit.personalization)
    assert (kit.contents.captions, kit.contents.perceptual) == (None, None)
    with pytest.raises(ModelError, match=r"lacks .*mobilefacenet"):
        kit.surrogates()


def test_what_the_example_leaves_out_is_written_as_a_kit_has_it(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    rows = re.findall(r"^# (\[\w+\]|\w+ = .*)$", text, re.MULTILINE)
    file = tmp_path / "kit.toml"
    file.write_text(text + "\n".join(rows))
    kit = open_kit(file).contents
    assert None not in (kit.matcher, kit.captions, kit.perceptual, kit.brisque)


@pytest.mark.real
def test_the_example_kit_loads_and_judges_otherwise_than_it_teaches(kit: Kit) -> None:
    (surrogate,), (judge,) = kit.surrogates(), kit.judges()
    assert surrogate.family != judge.family
    assert (surrogate.dimension, judge.dimension) == (128, 256)
    assert kit.detector().name == "scrfd-500m"


@pytest.mark.real
def test_a_person_is_taught_pictured_and_audited(
    kit: Kit, real_data: Path, strangers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISARD_CACHE", str(tmp_path / "cache"))
    base = write_blueprint("micro", tmp_path / "base")
    training = copies(photos_of(real_data, "set_A", "set_B"), tmp_path / "training")

    run = personalize(training, tmp_path / "run", kit=kit, base=base, method="lora", **STEPS)
    assert len(run.history) == ROUNDS
    for row in run.history:  # four photos, one Stage II step a round: each is seen, in it or in its photo
        assert row["faces"]["found"] + row["faces"]["fallback"] == 4
        assert abs(row["s_mobilefacenet"]) <= 1
    assert any(value.abs().max() > 0 for name, value in load_file(run.model).items() if "lora_B" in name)

    pictures = tmp_path / "pictures"
    generate(run.folder, pictures / "generated", count=2, steps=2, base=base, kit=kit)
    copies(photos_of(real_data, "set_B"), pictures / "none")
    found = audit(
        pictures, copies(photos_of(real_data, "set_C"), tmp_path / "reference"), gallery=strangers, kit=kit
    )
    assert (found.people, found.gallery, found.gallery_without_face) == (1, 11, 0)  # the person among them
    judges: dict[str, JudgeFigures] = {arm.arm: arm.judges[0] for arm in found.arms}
    assert judges["none"].accounting.linked == judges["none"].accounting.pictures == 4
    assert judges["none"].similarity.overall > judges["none"].similarity_to_strangers + 0.3
    assert judges["generated"].accounting.no_face == judges["generated"].accounting.pictures == 2

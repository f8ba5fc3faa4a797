"""What a person may call a model, and what a run says of the one it was made from."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from personalization.runs import SETTINGS, start
from support.checkpoints import write_checkpoint
from support.kits import two_recognizers, write_kit, write_networks
from support.tiny import tiny_pipeline
from visard.diffusion.backbone import Backbone
from visard.diffusion.lora import add_lora, attached_lora, save_lora
from visard.errors import ModelError
from visard.kits import Kit, open_kit
from visard.models import load_model
from visard.personalization.record import Record
from visard.settings import from_toml


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    write_networks(tmp_path)
    tiny_pipeline(tmp_path / "model")
    return open_kit(write_kit(tmp_path, two_recognizers()))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """One file, of another model than the kit's."""
    folder = tiny_pipeline(tmp_path / "other", seed=1)
    header = {"modelspec.prediction_type": "epsilon"}
    return write_checkpoint(folder, tmp_path / "files" / "other.safetensors", header=header)


def test_a_file_may_be_a_checkpoint_or_a_lora(kit: Kit, checkpoint: Path, tmp_path: Path) -> None:
    found = load_model(checkpoint, kit).backbone
    assert (
        found.fingerprint() == Backbone.load(tmp_path / "other").fingerprint() != kit.backbone().fingerprint()
    )
    assert not attached_lora(found)
    add_lora(found, rank=2)
    lora, kohya = save_lora(found, tmp_path / "lora.safetensors")
    for file in (lora, kohya):
        loaded = load_model(file, kit, base=checkpoint).backbone
        assert loaded.fingerprint() != kit.backbone().fingerprint()
        assert attached_lora(loaded)


@pytest.mark.parametrize("content", [b"\x80\x04.", b"PK\x03\x04....", b"no model at all"])
def test_other_files_are_refused(kit: Kit, tmp_path: Path, content: bytes) -> None:
    for name in ("model.ckpt", "model.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match=r"is a pickle|not a whole safetensors file"):
            load_model(tmp_path / name, kit)


def test_a_run_tells_the_files_of_its_base_model_and_not_where_they_lay(
    kit: Kit, checkpoint: Path, tmp_path: Path
) -> None:
    backbone = Backbone.load(checkpoint)
    run = tmp_path / "run"
    start(run, backbone, tmp_path / "cache", replace(SETTINGS, method="lora", defence="none"))
    record = from_toml(Record, run / "run.toml")
    assert record.base_model["name"] == "other.safetensors"
    assert record.base_weights == {"model": hashlib.sha256(checkpoint.read_bytes()).hexdigest()}
    assert str(tmp_path) not in (run / "run.toml").read_text()
    with pytest.raises(ModelError, match=r"trained on other\.safetensors, a model on the disk") as caught:
        load_model(run, kit)
    assert "--base" in caught.value.advice
    loaded = load_model(run, kit, base=checkpoint).backbone
    z, t = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([500])
    with torch.no_grad():
        ours, theirs = (each.predict(z, t, each.embed_text(["sks person"])) for each in (backbone, loaded))
    torch.testing.assert_close(ours, theirs)
    with pytest.raises(ModelError, match="another base model"):
        load_model(run, kit, base=tmp_path / "model")


def test_folders_are_hashed_file_by_file(tmp_path: Path) -> None:
    folder = tiny_pipeline(tmp_path / "model")
    start(tmp_path / "run", Backbone.load(folder), tmp_path / "cache", replace(SETTINGS, defence="none"))
    weights = from_toml(Record, tmp_path / "run" / "run.toml").base_weights
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*.safetensors")}
    assert weights == {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import Result

from support.tiny import tiny_pipeline
from visard import api

Run = Callable[..., Result]


def kohya(path: Path, metadata: dict[str, str]) -> Path:
    """A LoRA of rank 4 as trainers of the kohya family write it."""
    tensors = {}
    for layer in ("lora_unet_down_attn_to_q", "lora_te_text_model_q_proj"):
        tensors[f"{layer}.lora_down.weight"] = torch.zeros(4, 8)
        tensors[f"{layer}.lora_up.weight"] = torch.zeros(8, 4)
        tensors[f"{layer}.alpha"] = torch.tensor(2.0)
    save_file(tensors, path, metadata)
    return path


def test_rank_alpha_and_parts_of_a_lora(visard: Run, tmp_path: Path) -> None:
    file = kohya(tmp_path / "a.safetensors", {"ss_network_dim": "4"})
    shown = json.loads(visard("inspect", file, "--json").stdout)
    assert shown == api.inspect(file)
    assert shown["kind"] == "LoRA (kohya naming)"
    assert (shown["rank"], shown["alpha"], shown["text_encoder"]) == ([4], [2.0], True)
    assert (shown["tensors"], shown["parameters"], shown["types"]) == (6, 130, {"F32": 6})
    assert shown["leaks"] == []


@pytest.mark.parametrize(
    "metadata",
    [
        {"ss_dataset_dirs": '{"10_jane_doe": {"n_repeats": 10}}'},
        {"ss_training_comment": "my neighbour"},
        {"modelspec.title": "made in /home/jane/photos"},
        {"format": "C:\\Users\\jane\\lora"},
    ],
)
def test_what_tells_of_the_maker_is_shown(visard: Run, tmp_path: Path, metadata: dict[str, str]) -> None:
    file = kohya(tmp_path / "a.safetensors", metadata)
    (key,) = metadata
    shown = visard("inspect", file)
    assert shown.exit_code == 0
    assert "tells about its maker:" in shown.stdout
    assert key in shown.stdout.split("maker:")[1]


def test_a_model_folder_and_the_paths_in_its_configuration(visard: Run, tmp_path: Path) -> None:
    folder = tiny_pipeline(tmp_path / "model")
    shown = json.loads(visard("inspect", folder, "--json").stdout)
    assert shown["kind"] == "model folder"
    assert set(shown["parts"]) >= {"unet/diffusion_pytorch_model.safetensors"}
    assert shown["leaks"] == []
    config = folder / "unet" / "config.json"
    values = json.loads(config.read_text())
    config.write_text(json.dumps({**values, "_name_or_path": "/home/jane/models/unet"}))
    (folder / "old.ckpt").write_bytes(b"pickle")
    shown = json.loads(visard("inspect", folder, "--json").stdout)
    assert shown["pickles"] == ["old.ckpt"]
    assert [leak for leak in shown["leaks"] if "/home/jane" in leak]


def test_pickles_are_never_opened(visard: Run, tmp_path: Path) -> None:
    file = tmp_path / "model.ckpt"
    file.write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    shown = visard("inspect", file)
    assert shown.exit_code == 3
    assert "pickle" in shown.stderr


@pytest.mark.parametrize("name", ["nowhere.safetensors", "damaged.safetensors", "."])
def test_what_is_no_model_is_said(visard: Run, tmp_path: Path, name: str) -> None:
    if name.startswith("damaged"):
        (tmp_path / name).write_bytes(b"not safetensors")
    assert visard("inspect", tmp_path / name).exit_code == 3

"""Weights load strictly or not at all, and the refusal says why."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from visard.errors import ModelError
from visard.faces.weights import load_weights


def network(width: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width))


def weights() -> dict[str, Tensor]:
    torch.manual_seed(3)
    return {key: value + 0.5 for key, value in network().state_dict().items()}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def test_safetensors_in_half_precision_become_the_networks_own(file: Path) -> None:
    save_file(
        {key: value.half() if value.is_floating_point() else value for key, value in weights().items()}, file
    )
    loaded = network()
    load_weights(loaded, file)
    assert loaded[0].weight.dtype == torch.float32
    torch.testing.assert_close(loaded[0].weight, weights()["0.weight"].half().float())


def test_torch_files_nested_and_prefixed(tmp_path: Path) -> None:
    nested = {f"model.{key}": value for key, value in weights().items()} | {"head.kernel": torch.zeros(2)}
    torch.save({"epoch": 3, "state_dict": nested}, tmp_path / "model.ckpt")
    loaded = network()
    load_weights(loaded, tmp_path / "model.ckpt", state="state_dict", prefix="model.")
    torch.testing.assert_close(loaded[0].weight, weights()["0.weight"])


def test_update_counters_may_be_left_out(file: Path) -> None:
    save_file({key: value for key, value in weights().items() if "num_batches" not in key}, file)
    load_weights(network(), file)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(file: Path, value: float) -> None:
    broken = weights()
    broken["0.weight"][1, 1, 1, 1] = value
    save_file(broken, file)
    with pytest.raises(ModelError, match=r"0\.weight holds numbers that are not finite"):
        load_weights(network(), file)


def test_negative_variances_are_refused(file: Path) -> None:
    broken = weights()
    broken["1.running_var"][0] = -1
    save_file(broken, file)
    with pytest.raises(ModelError, match="negative variances"):
        load_weights(network(), file)


def test_missing_weights_are_refused_by_name(file: Path) -> None:
    save_file({key: value for key, value in weights().items() if key != "0.bias"}, file)
    with pytest.raises(ModelError, match=r"lacks 1 of 7 weights, 0\.bias"):
        load_weights(network(), file)


def test_unknown_weights_are_refused_by_name(file: Path) -> None:
    save_file(weights() | {"2.weight": torch.zeros(1)}, file)
    with pytest.raises(ModelError, match=r"the network has not, 2\.weight"):
        load_weights(network(), file)


def test_wrong_shapes_are_refused_with_both(file: Path) -> None:
    save_file(weights(), file)
    with pytest.raises(
        ModelError, match=r"0\.bias has shape \(4,\) where \(5,\)|0\.weight has shape \(4, 3, 3, 3\)"
    ):
        load_weights(network(5), file)


def test_a_refused_file_leaves_the_network_as_it_was(file: Path) -> None:
    save_file(weights() | {"2.weight": torch.zeros(1)}, file)
    untouched = network()
    before = untouched[0].weight.clone()
    with pytest.raises(ModelError):
        load_weights(untouched, file)
    assert torch.equal(untouched[0].weight, before)


class Intruder:
    """What a malicious file would hold: an object that acts when it is loaded."""

    def __reduce__(self) -> tuple[type[Exception], tuple[str]]:
        return (RuntimeError, ("code ran",))


def test_a_pickle_with_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    torch.save({"0.weight": Intruder()}, tmp_path / "model.pth")
    with pytest.raises(ModelError, match="would run code"):
        load_weights(network(), tmp_path / "model.pth")


def test_what_lightning_leaves_beside_the_weights_is_read_without_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checkpoints name classes of its own: as keys (before 1.5), and as the table of settings."""
    names = ("pytorch_lightning.callbacks.model_checkpoint", "pytorch_lightning.utilities.parsing")
    for name in ("pytorch_lightning", "pytorch_lightning.callbacks", "pytorch_lightning.utilities", *names):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    checkpoint = type("ModelCheckpoint", (), {"__module__": names[0]})
    settings = type("AttributeDict", (dict,), {"__module__": names[1]})
    monkeypatch.setattr(sys.modules[names[0]], "ModelCheckpoint", checkpoint, raising=False)
    monkeypatch.setattr(sys.modules[names[1]], "AttributeDict", settings, raising=False)
    content = {
        "callbacks": {checkpoint: {"best_model_score": torch.tensor(0.9)}},
        "hyper_parameters": settings(arch="ir_50"),
        "state_dict": weights(),
    }
    torch.save(content, tmp_path / "model.ckpt")
    monkeypatch.undo()
    loaded = network()
    load_weights(loaded, tmp_path / "model.ckpt", state="state_dict")
    torch.testing.assert_close(loaded[0].weight, weights()["0.weight"])


@pytest.mark.parametrize("name", ["model.safetensors", "model.pth"])
def test_missing_cut_and_foreign_files_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="There is no file"):
        load_weights(network(), tmp_path / name)
    if name.endswith("pth"):
        torch.save(weights(), tmp_path / name)
    else:
        save_file(weights(), tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError):
        load_weights(network(), tmp_path / name)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ModelError):
        load_weights(network(), tmp_path / name)


def test_a_torch_file_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ModelError, match="not a table of tensors"):
        load_weights(network(), tmp_path / "list.pth")
    torch.save({"state_dict": weights()}, tmp_path / "nested.pth")
    with pytest.raises(ModelError, match="not a table of tensors"):
        load_weights(network(), tmp_path / "nested.pth")
    with pytest.raises(ModelError, match="no entry 'model'"):
        load_weights(network(), tmp_path / "nested.pth", state="model")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"a": 1}, protocol=2))
    with pytest.raises(ModelError):
        load_weights(network(), tmp_path / "plain.pth")

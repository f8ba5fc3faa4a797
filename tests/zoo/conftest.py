"""A table of published models small enough to be loaded in every test, and a models folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from support.kits import NETWORK, RECOGNIZER
from visard.faces.alignment import align
from visard.faces.architectures import ARCHITECTURES
from visard.zoo import records, table

TABLE = f"""
[small]
kind = "recognizer"
family = "MobileFaceNet"
architecture = "mobilefacenet"
files = ["small.pth"]
input = {{ size = 32 }}
config = {NETWORK}
state = "state_dict"
prefix = "model."
source = "https://example.org/small"
code_licence = "MIT"
weights_licence = "non-commercial research only"
training = "nobody"

[foreign]
kind = "recognizer"
family = "Mean"
architecture = "onnx"
files = ["mean.onnx"]
input = {{ size = 8 }}
source = "https://example.org/foreign"
code_licence = "MIT"
weights_licence = "MIT"

[finder]
kind = "detector"
family = "SCRFD"
architecture = "scrfd_micro"
files = ["finder.safetensors"]
sizes = [64]
config = {{ widths = [4, 4, 8, 8, 8], units = [1, 1, 1], neck_width = 8 }}
source = "https://example.org/finder"
code_licence = "MIT"
weights_licence = "not stated"

[base]
kind = "base"
family = "Stable Diffusion"
source = "https://example.org/base"
code_licence = "MIT"
weights_licence = "CreativeML Open RAIL-M"
"""


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models folder, empty; the table knows `small`, `foreign`, `finder` and `base`; no records."""
    folder = tmp_path / "models"
    monkeypatch.setenv("VISARD_MODELS", str(folder))
    file = tmp_path / "models.toml"
    file.write_text(TABLE)
    monkeypatch.setattr(table, "TABLE", file)
    monkeypatch.setattr(records, "RECORDS", tmp_path / "records.toml")
    return folder


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """`small` as its makers publish it: a Lightning checkpoint with random weights.

    Its mean embedding is that of the known pictures: a fresh network tells nothing apart before that.
    """
    torch.manual_seed(0)
    network = ARCHITECTURES["mobilefacenet"](**RECOGNIZER).eval()
    with torch.no_grad():
        network.bn.running_mean.copy_(network(align(*records.known_pictures(), 32)).mean(0))
    weights = {f"model.{key}": value for key, value in network.state_dict().items()}
    file = tmp_path / "downloads" / "small.pth"
    file.parent.mkdir()
    torch.save({"epoch": 3, "state_dict": weights | {"head.kernel": torch.zeros(2)}}, file)
    return file

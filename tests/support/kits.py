"""A whole kit, random and small enough to be written and loaded in every test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from visard.faces.architectures import ARCHITECTURES
from visard.faces.detector import Face
from visard.storage import save_tensors

NETWORK = "{ input_size = 32, embedding_dim = 8, widths = [4, 4, 4, 4], units = [1, 1, 1], head_width = 8 }"
RECOGNIZER: dict[str, Any] = {
    "input_size": 32,
    "embedding_dim": 8,
    "widths": [4, 4, 4, 4],
    "units": [1, 1, 1],
    "head_width": 8,
}
DETECTOR: dict[str, Any] = {"widths": [4, 4, 8, 8, 8], "units": [1, 1, 1], "neck_width": 8}
QUICK = """
[personalization.fine_tuning]
steps = 4
batch = 1
class_batch = 1
[personalization.decoupling]
rounds = 2
pgd_steps = 2
[personalization.prior]
count = 2
sampler_steps = 2
[personalization.output]
checkpoint_every = 0
"""


def recognizer_row(name: str, role: str, file: str) -> str:
    """A row of a recogniser for 32 px crops."""
    return f"""
[[recognizers]]
name = "{name}"
role = "{role}"
architecture = "mobilefacenet"
family = "family of {name}"
file = "{file}"
input = {{ size = 32 }}
config = {NETWORK}
"""


def write_networks(folder: Path) -> None:
    """Recognisers a, b and c, and a detector, with random weights."""
    for seed, name in enumerate("abc"):
        torch.manual_seed(seed)
        save_network(ARCHITECTURES["mobilefacenet"](**RECOGNIZER), folder / f"{name}.safetensors")
    save_network(ARCHITECTURES["scrfd_micro"](**DETECTOR), folder / "detector.safetensors")


def save_network(network: torch.nn.Module, file: Path) -> None:
    save_tensors(file, network.state_dict(), {})


def write_kit(folder: Path, rows: str, gallery: str = "") -> Path:
    """The kit file `small`, its base model in `model`; `rows` are its recognisers and whatever else."""
    file = folder / "kit.toml"
    file.write_text(
        f"""
name = "small"
backbone = "model"
gallery = "{gallery}"
{rows}
[detector]
name = "tiny"
architecture = "scrfd_micro"
file = "detector.safetensors"
sizes = [64]
config = {{ widths = [4, 4, 8, 8, 8], units = [1, 1, 1], neck_width = 8 }}
"""
    )
    return file


def two_recognizers() -> str:
    """One surrogate and one judge."""
    return recognizer_row("one", "surrogate", "a.safetensors") + recognizer_row(
        "two", "judge", "b.safetensors"
    )


def face_in_the_middle(_: object, images: torch.Tensor) -> list[list[Face]]:
    """Stands in for `Scrfd.detect`, which finds nothing with random weights."""
    side = images.shape[-1]
    landmarks = torch.tensor([[0.35, 0.4], [0.65, 0.4], [0.5, 0.55], [0.38, 0.72], [0.62, 0.72]]) * side
    box = torch.tensor([0.2, 0.1, 0.8, 0.9]) * side
    return [[Face(box, 0.9, landmarks)] for _ in images]


def write_brisque(folder: Path) -> tuple[Path, Path]:
    """Files of a BRISQUE model with two support vectors: "allmodel" and "allrange"."""
    model, ranges = folder / "allmodel", folder / "allrange"
    model.write_text(
        "svm_type epsilon_svr\nkernel_type rbf\ngamma 0.5\nnr_class 2\ntotal_sv 2\nrho -10\n"
        "SV\n2 1:1 3:-1 \n-1 2:0.5 \n"
    )
    ranges.write_text("x\n-1 1\n" + "".join(f"{index + 1} 0 2\n" for index in range(36)))
    return model, ranges

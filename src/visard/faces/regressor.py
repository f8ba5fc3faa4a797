"""Attributes, pose, gaze and expression from aligned crops; what each head's numbers mean is data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from visard.errors import ModelError
from visard.faces.alignment import align, template
from visard.faces.recognizer import InputSpec, build
from visard.faces.weights import load_weights


@dataclass(frozen=True)
class Head:
    """One head of a regressor.

    outputs: the classes of a categorical head, the yes-or-no questions of a binary one, the quantities of a
    continuous one, which are raw * scale + mean in `unit`.
    """

    name: str
    kind: Literal["categorical", "binary", "continuous"]
    outputs: tuple[str, ...]
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    unit: str = ""

    def __post_init__(self) -> None:
        if not self.outputs:
            raise ValueError(f"head {self.name} has no outputs")
        for values in (self.mean, self.scale):
            if values and (self.kind != "continuous" or len(values) != len(self.outputs)):
                raise ValueError(
                    f"head {self.name}: mean and scale are one number for each continuous output"
                )

    def read(self, raw: Tensor) -> Tensor:
        """The network's numbers (B, n) as probabilities (categorical: of each class, sum 1) or in `unit`."""
        if self.kind == "categorical":
            return raw.softmax(-1)
        if self.kind == "binary":
            return raw.sigmoid()
        scale = raw.new_tensor(self.scale) if self.scale else 1.0
        mean = raw.new_tensor(self.mean) if self.mean else 0.0
        return raw * scale + mean

    def standardise(self, values: Tensor) -> Tensor:
        """A continuous head's values (B, n) in `unit` as what the network learns: the inverse of `read`."""
        scale = values.new_tensor(self.scale) if self.scale else 1.0
        mean = values.new_tensor(self.mean) if self.mean else 0.0
        return (values - mean) / scale


@dataclass(frozen=True)
class RegressorRow:
    """A kit's row of a regressor; margin: how much more than the ArcFace crop it sees (`template`)."""

    name: str
    file: Path
    input: InputSpec
    heads: tuple[Head, ...]
    margin: float = 0.0
    architecture: str = "regressor"
    config: dict[str, Any] = field(default_factory=dict)


class FaceRegressor(nn.Module):
    """A frozen network whose named heads are read as probabilities and quantities."""

    target: Tensor

    def __init__(
        self, network: nn.Module, *, name: str, spec: InputSpec, heads: tuple[Head, ...], margin: float = 0.0
    ) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.name = name
        self.spec = spec
        self.heads = {head.name: head for head in heads}
        self.margin = margin
        self.register_buffer("target", template(spec.size, margin), persistent=False)
        self.eval()

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next((each.device for each in self.network.parameters()), self.target.device)

    def train(self, mode: bool = True) -> FaceRegressor:
        """Stays in evaluation mode, as a measure must."""
        super().train(False)
        return self

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        """Aligned crops (B, 3, size, size) in [-1, 1] -> (B, outputs) of each head, as `Head.read` says."""
        with torch.autocast(self.device.type, enabled=False):
            raw = self.network(self.spec.prepare(crops.to(self.device, torch.float32)))
        return {name: head.read(raw[name]) for name, head in self.heads.items()}

    def predict_faces(self, images: Tensor, landmarks: Tensor) -> dict[str, Tensor]:
        """The same for pictures (B, 3, H, W) and landmarks (B, 5, 2) in px."""
        predictions: dict[str, Tensor] = self(align(images, landmarks, self.spec.size, self.target))
        return predictions

    @classmethod
    def load(cls, row: RegressorRow) -> FaceRegressor:
        """The regressor of a kit's row, its weights loaded strictly. Raises ModelError."""
        if len({head.name for head in row.heads}) != len(row.heads):
            raise ModelError(f"{row.name} names a head twice.", "Give each head a name of its own.")
        network = build(row.architecture, {**row.config, "heads": head_sizes(row.heads)})
        load_weights(network, row.file)
        return cls(network, name=row.name, spec=row.input, heads=row.heads, margin=row.margin)


def head_sizes(heads: tuple[Head, ...]) -> dict[str, int]:
    """How many outputs each head has, as the architecture wants to know it."""
    return {head.name: len(head.outputs) for head in heads}

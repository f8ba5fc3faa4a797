"""Face recognisers: aligned crops to embeddings; channel order, range and framing are data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visard.errors import ModelError
from visard.faces.alignment import align, template
from visard.faces.architectures import ARCHITECTURES
from visard.faces.weights import load_weights
from visard.precision import full_precision


@dataclass(frozen=True)
class InputSpec:
    """What a network was trained on: `size` px, channel order, (255 x - mean) / scale for x in [0, 1]."""

    size: int
    channels: Literal["RGB", "BGR"] = "RGB"
    mean: float = 127.5
    scale: float = 127.5

    def __post_init__(self) -> None:
        if self.size < 1 or self.scale <= 0:
            raise ValueError("a network's input needs a size of at least 1 px and a scale above 0")

    def prepare(self, crops: Tensor) -> Tensor:
        """Crops (B, 3, size, size), RGB in [-1, 1], as the network takes them. Raises ValueError."""
        if crops.dim() != 4 or tuple(crops.shape[1:]) != (3, self.size, self.size):
            raise ValueError(
                f"crops of shape (B, 3, {self.size}, {self.size}) needed, not {tuple(crops.shape)}"
            )
        ordered = crops.flip(1) if self.channels == "BGR" else crops
        return (ordered * 127.5 + (127.5 - self.mean)) / self.scale


@dataclass(frozen=True)
class RecognizerRow:
    """A kit's row of a recogniser; `state` and `prefix` are those of `load_weights`.

    zoo: its name in the table of published models; licence: that of the weights, where the table has none.
    """

    name: str
    role: Literal["surrogate", "judge"]
    architecture: str
    file: Path
    family: str
    input: InputSpec
    config: dict[str, Any] = field(default_factory=dict)
    state: str = ""
    prefix: str = ""
    zoo: str = ""
    licence: str = ""


class Recognizer(nn.Module):
    """A frozen recogniser: always in evaluation mode, no parameter gradient, float32 whatever the autocast.

    Whatever device its input is on, it computes on its own; so do FaceRegressor and a kit's Encoder.

    network: crops -> embeddings (B, D), or (direction, length) as AdaFace; it is frozen for good.
    target: (5, 2), where the landmarks lie in its crops; the ArcFace template when None.
    """

    target: Tensor

    def __init__(
        self, network: nn.Module, *, name: str, family: str, spec: InputSpec, target: Tensor | None = None
    ) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.name = name
        self.family = family
        self.spec = spec
        self.register_buffer("target", template(spec.size) if target is None else target, persistent=False)
        self.eval()
        with torch.no_grad():
            self.dimension = self.features(torch.zeros(1, 3, spec.size, spec.size)).shape[1]

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next((each.device for each in self.network.parameters()), self.target.device)

    def train(self, mode: bool = True) -> Recognizer:
        """Stays in evaluation mode: a BatchNorm that adapts to what it measures is no measure."""
        super().train(False)
        return self

    def features(self, crops: Tensor) -> Tensor:
        """Aligned crops (B, 3, size, size) in [-1, 1] -> (B, D) before normalising; differentiable.

        The length is a picture quality in MagFace and AdaFace. Raises ValueError for crops of another size.
        """
        with full_precision(self.device):
            dtype = next((each.dtype for each in self.network.parameters()), torch.float32)
            output = self.network(self.spec.prepare(crops.to(self.device, dtype)))
            if isinstance(output, tuple):  # AdaFace gives the direction and the length
                direction, length = output
                output = direction * length
        features: Tensor = output
        return features

    def embed(self, crops: Tensor) -> Tensor:
        """Aligned crops (B, 3, size, size) in [-1, 1] -> unit embeddings (B, D); differentiable."""
        return F.normalize(self.features(crops), dim=1)

    def embed_faces(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [-1, 1], landmarks (B, 5, 2) in px -> (B, D); no gradient to landmarks."""
        return self.embed(align(images, landmarks, self.spec.size, self.target))

    def reading(self, spec: InputSpec) -> Recognizer:
        """The same network behind another input: what it would see if its row were wrong."""
        return Recognizer(self.network, name=self.name, family=self.family, spec=spec, target=self.target)

    @classmethod
    def load(cls, row: RecognizerRow) -> Recognizer:
        """The recogniser of a kit's row, its weights loaded strictly. Raises ModelError."""
        if row.architecture == "openvino":
            from visard.faces.openvino import load_openvino

            return load_openvino(row)
        if row.architecture == "onnx":
            from visard.faces.onnx import load_onnx

            return load_onnx(row)
        network = build(row.architecture, row.config)
        load_weights(network, row.file, state=row.state, prefix=row.prefix)
        try:
            return cls(network, name=row.name, family=row.family, spec=row.input)
        except RuntimeError as error:
            raise ModelError(
                f"{row.name}: {row.architecture} cannot take crops of {row.input.size} px: {error}.",
                "Let input.size and config.input_size be the size the network was trained on.",
            ) from error


def build(architecture: str, config: Mapping[str, Any]) -> nn.Module:
    """A network of a kit's row, without weights. Raises ModelError when there is none such."""
    if architecture not in ARCHITECTURES:
        raise ModelError(
            f"There is no architecture {architecture!r}.", f"Known here: {', '.join(ARCHITECTURES)}."
        )
    try:
        return ARCHITECTURES[architecture](**config)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{architecture} cannot be built from its config: {error}.", "Correct the row's config."
        ) from error


def prototype(embeddings: Tensor) -> Tensor:
    """A person from their photos: (N, D) -> (D,), normalised mean of the normalised rows (IDDM eq. 10)."""
    if embeddings.dim() != 2 or len(embeddings) == 0:
        raise ValueError("a prototype needs at least one embedding, as rows")
    return F.normalize(F.normalize(embeddings, dim=1).mean(0), dim=0)

"""SCRFD (Guo et al. 2022): one decoder for ONNX files and torch networks, at several sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visard.errors import ModelError
from visard.faces.detector import Candidates, Face, decode, nms
from visard.faces.onnx import open_session
from visard.faces.recognizer import build
from visard.faces.retinaface import RetinaFaceNetwork
from visard.faces.weights import load_weights
from visard.storage import sha256

STRIDE = 32  # the coarsest: sides of a network's input are multiples of it


@dataclass(frozen=True)
class DetectorRow:
    """A kit's row of a detector.

    sizes: what the picture's longer side is resized to, in px, each a pass of its own.
    margin: black added around the resized picture, as a fraction of its size, for faces that fill the frame.
    state, prefix: those of `load_weights`. zoo, licence: as in a recogniser's row.
    """

    name: str
    architecture: Literal["scrfd_micro", "scrfd_onnx", "retinaface"]
    file: Path
    sizes: tuple[int, ...] = (512, 320)
    margin: float = 0.0
    threshold: float = 0.5
    overlap: float = 0.4
    config: dict[str, Any] = field(default_factory=dict)
    state: str = ""
    prefix: str = ""
    zoo: str = ""
    licence: str = ""


class Network(Protocol):
    """A net behind the decoder; `canvas` is its fixed input side in px, None if any multiple of 32 does."""

    @property
    def canvas(self) -> int | None: ...

    def __call__(self, canvas: Tensor) -> list[Tensor]:
        """Pictures (B, 3, H, W) in [-1, 1] -> nine tensors as `decode` takes them."""
        ...


class TorchNetwork:
    """A torch module that gives score logits."""

    canvas = None

    def __init__(self, module: nn.Module) -> None:
        self.module = module.eval().requires_grad_(False)

    def __call__(self, canvas: Tensor) -> list[Tensor]:
        device = next(self.module.parameters()).device
        outputs: list[Tensor] = [output.cpu() for output in self.module(normalise(canvas).to(device))]
        return [output.sigmoid() if output.shape[-1] == 1 else output for output in outputs]


class OnnxNetwork:
    """A published SCRFD file (ONNX), run one picture at a time, as these files fix the batch at 1."""

    def __init__(self, file: str | Path) -> None:
        self.session = open_session(file)
        (inputs,) = self.session.get_inputs()
        side = inputs.shape[-1]
        self.input = inputs.name
        self.canvas = side if isinstance(side, int) else None

    def __call__(self, canvas: Tensor) -> list[Tensor]:
        pictures = [self._run(picture) for picture in torch.split(normalise(canvas).cpu(), 1)]
        return [torch.cat(rows) for rows in zip(*pictures, strict=True)]

    def _run(self, picture: Tensor) -> list[Tensor]:
        found = [torch.from_numpy(output) for output in self.session.run(None, {self.input: picture.numpy()})]
        rows = [output.reshape(1, -1, output.shape[-1]) for output in found]
        # Files differ in the order and the names of their outputs; kind and stride follow from the shape.
        return sorted(rows, key=lambda output: (output.shape[-1], -output.shape[1]))


@dataclass(frozen=True)
class Letterbox:
    """Where a picture lies on a network's canvas: canvas = (picture + 0.5) * scale - 0.5 + offset."""

    scale: tuple[float, float]
    offset: int

    def back(self, points: Tensor) -> Tensor:
        """Canvas coordinates (..., 2) to the picture's."""
        return (points - self.offset + 0.5) / points.new_tensor(self.scale) - 0.5


def letterbox(
    images: Tensor, size: int, margin: float = 0.0, canvas: int | None = None
) -> tuple[Tensor, Letterbox]:
    """Pictures (B, 3, H, W) resized to `size` px on the longer side, at the top left of a black canvas.

    margin: left free on every side, as a fraction of `size`. canvas: its side, or the next multiple of 32.
    """
    height, width = images.shape[-2:]
    offset = round(size * margin)
    rows, columns = (max(1, round(side * size / max(height, width))) for side in (height, width))
    resized = F.interpolate(images, (rows, columns), mode="bilinear", align_corners=False, antialias=True)

    def fill(side: int) -> int:
        return canvas if canvas is not None else -(-(side + 2 * offset) // STRIDE) * STRIDE

    padding = (offset, fill(columns) - columns - offset, offset, fill(rows) - rows - offset)
    return F.pad(resized, padding, value=-1.0), Letterbox((columns / width, rows / height), offset)


class Scrfd:
    """Face detector with five landmarks; passes at several sizes are merged by non-maximum suppression."""

    def __init__(
        self,
        network: Network,
        *,
        name: str = "scrfd",
        sizes: Sequence[int] = (512, 320),
        margin: float = 0.0,
        threshold: float = 0.5,
        overlap: float = 0.4,
        weights: str = "",
    ) -> None:
        if not sizes:
            raise ValueError("a detector needs at least one size")
        widest = max(size + 2 * round(size * margin) for size in sizes)
        if network.canvas is not None and widest > network.canvas:
            raise ValueError(f"{widest} px with margins do not fit the network's {network.canvas} px")
        self.network = network
        self.name = name
        self.sizes = tuple(sizes)
        self.margin = margin
        self.threshold = threshold
        self.overlap = overlap
        self.weights = weights

    @property
    def setting(self) -> str:
        """All that decides what is found, in words for a report."""
        sizes = "+".join(str(size) for size in self.sizes)
        return f"threshold {self.threshold:g}, NMS {self.overlap:g}, sizes {sizes}, margin {self.margin:g}"

    @classmethod
    def load(cls, row: DetectorRow) -> Scrfd:
        """The detector of a kit's row. Raises ModelError."""
        if row.architecture == "scrfd_onnx":
            network: Network = OnnxNetwork(row.file)
        else:
            module = build(row.architecture, row.config)
            load_weights(module, row.file, state=row.state, prefix=row.prefix)
            network = RetinaFaceNetwork(module) if row.architecture == "retinaface" else TorchNetwork(module)
        try:
            return cls(
                network,
                name=row.name,
                sizes=row.sizes,
                margin=row.margin,
                threshold=row.threshold,
                overlap=row.overlap,
                weights=sha256(row.file),
            )
        except ValueError as error:
            raise ModelError(f"{row.name}: {error}.", "Correct the detector's sizes or margin.") from error

    @torch.no_grad()
    def detect(self, images: Tensor) -> list[list[Face]]:
        """Faces of each picture (B, 3, H, W) in [-1, 1], best score first, in the picture's pixels."""
        images = images.detach().float().cpu()
        passes = [self._pass(images, size) for size in self.sizes]
        return [self._merge(candidates) for candidates in zip(*passes, strict=True)]

    def _pass(self, images: Tensor, size: int) -> list[Candidates]:
        canvas, box = letterbox(images, size, self.margin, self.network.canvas)
        outputs = self.network(canvas)
        found = decode(outputs, canvas.shape[-2], canvas.shape[-1], threshold=self.threshold)
        return [
            Candidates(
                box.back(each.boxes.reshape(-1, 2, 2)).flatten(1), each.scores, box.back(each.landmarks)
            )
            for each in found
        ]

    def _merge(self, passes: Sequence[Candidates]) -> list[Face]:
        boxes = torch.cat([each.boxes for each in passes])
        scores = torch.cat([each.scores for each in passes])
        landmarks = torch.cat([each.landmarks for each in passes])
        kept = nms(boxes, scores, self.overlap).tolist()
        return [Face(boxes[index], float(scores[index]), landmarks[index]) for index in kept]


def normalise(images: Tensor) -> Tensor:
    """Pictures in [-1, 1] to what SCRFD was trained on: (255 x - 127.5) / 128 with x in [0, 1]."""
    return images * (127.5 / 128)

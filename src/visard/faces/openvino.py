"""Recognisers in OpenVINO's IR format: held-out judges, not differentiable.

For Open Model Zoo's face-reidentification-retail-0095: BGR 0-255 at 128 px, 256 numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from visard.errors import ModelError
from visard.faces.alignment import TEMPLATE_112
from visard.faces.recognizer import Recognizer

if TYPE_CHECKING:
    from visard.faces.recognizer import RecognizerRow


class OpenVinoNetwork(nn.Module):
    """A compiled OpenVINO model: (B, 3, S, S) -> (B, D), one picture at a time. Raises ModelError."""

    def __init__(self, file: str | Path) -> None:
        super().__init__()
        try:
            from openvino import Core
        except ImportError as error:
            raise ModelError("This recogniser needs OpenVINO.", "pip install 'visard[real]'") from error
        try:
            self.compiled = Core().compile_model(str(file), "CPU")
        except RuntimeError as error:
            raise ModelError(f"{file} cannot be opened by OpenVINO: {error}.", "Check the path.") from error

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and x.requires_grad:
            raise ValueError("an OpenVINO recogniser has no gradient: use it as a judge, not as a surrogate")
        rows = [
            torch.from_numpy(self.compiled([row.numpy()])[0].copy()).reshape(1, -1)
            for row in torch.split(x.detach().cpu(), 1)
        ]
        return torch.cat(rows).to(x.device)


def template_112x96(size: int) -> Tensor:
    """The 112 x 96 template (ArcFace's less 8 px on either side) stretched to `size` x `size` px: (5, 2)."""
    return (TEMPLATE_112 - torch.tensor([8.0, 0.0])) * torch.tensor([size / 96, size / 112])


def load_openvino(row: RecognizerRow) -> Recognizer:
    """The recogniser of a row with `architecture = "openvino"`; its `file` is the .xml. Raises ModelError."""
    return Recognizer(
        OpenVinoNetwork(row.file),
        name=row.name,
        family=row.family,
        spec=row.input,
        target=template_112x96(row.input.size),
    )

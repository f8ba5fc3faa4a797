"""Recognisers in OpenVINO's IR format: held-out judges, not differentiable.

For Open Model Zoo's face-reidentification-retail-0095: BGR 0-255 at 128 px, 256 numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from visard.errors import ModelError
from visard.faces.alignment import TEMPLATE_112
from visard.faces.foreign import ForeignNetwork
from visard.faces.recognizer import Recognizer

if TYPE_CHECKING:
    from visard.faces.recognizer import RecognizerRow


def template_112x96(size: int) -> Tensor:
    """The 112 x 96 template (ArcFace's less 8 px on either side) stretched to `size` x `size` px: (5, 2)."""
    return (TEMPLATE_112 - torch.tensor([8.0, 0.0])) * torch.tensor([size / 96, size / 112])


def load_openvino(row: RecognizerRow) -> Recognizer:
    """The recogniser of a row with `architecture = "openvino"`; its `file` is the .xml. Raises ModelError."""
    try:
        from openvino import Core
    except ImportError as error:
        raise ModelError("This recogniser needs OpenVINO.", "pip install 'visard[real]'") from error
    try:
        compiled = Core().compile_model(str(row.file), "CPU")
    except RuntimeError as error:
        raise ModelError(
            f"{row.file} cannot be opened by OpenVINO: {error}.",
            "Check the path, and that the .bin lies beside the .xml.",
        ) from error
    return Recognizer(
        ForeignNetwork(lambda picture: compiled([picture])[0], "OpenVINO"),
        name=row.name,
        family=row.family,
        spec=row.input,
        target=template_112x96(row.input.size),
    )

"""ONNX files, run by onnxruntime on the CPU: detectors, and recognisers as judges without a gradient.

The recognisers of insightface's packs (w600k_r50, w600k_mbf, glintr100) are of this kind: RGB 112 px,
(255 x - 127.5) / 127.5, 512 numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from visard.errors import ModelError
from visard.faces.foreign import ForeignNetwork
from visard.faces.recognizer import Recognizer

if TYPE_CHECKING:
    from visard.faces.recognizer import RecognizerRow


def open_session(file: str | Path) -> Any:
    """An ONNX file ready to run. Raises ModelError."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # what is wrong with a file is raised, not printed
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises pybind exceptions without a common base
        raise ModelError(
            f"{file} cannot be opened as an ONNX model: {error}.", "Check the path, or download it again."
        ) from error


def load_onnx(row: RecognizerRow) -> Recognizer:
    """The recogniser of a row with `architecture = "onnx"`: one picture in, one embedding out.

    Raises ModelError.
    """
    session = open_session(row.file)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    size = row.input.size
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(
            f"{row.file} has {len(inputs)} inputs and {len(outputs)} outputs.",
            "A recogniser takes one picture and gives one embedding: check which file was meant.",
        )
    if any(
        isinstance(side, int) and side != wanted
        for side, wanted in zip(inputs[0].shape[1:], (3, size, size), strict=False)
    ):
        raise ModelError(
            f"{row.file} takes pictures of shape {inputs[0].shape}, the row says {size} px.",
            "Correct the row's input.size, or check which file was meant.",
        )
    network = ForeignNetwork(lambda picture: session.run(None, {inputs[0].name: picture})[0], "onnxruntime")
    try:
        return Recognizer(network, name=row.name, family=row.family, spec=row.input)
    except Exception as error:  # as above
        raise ModelError(
            f"{row.file} cannot embed a picture of {size} px: {error}.",
            "Correct the row's input.size, or check which file was meant.",
        ) from error

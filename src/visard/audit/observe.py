"""Looking at pictures once: find the best face of each, then let every judge and attribute model see it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from visard.audit.inputs import AttributeModel, Instruments
from visard.progress import Progress


@dataclass(frozen=True)
class Faces:
    """The faces of P pictures: `has_face` (P,), and for the F pictures with one, in order, what was seen.

    embeddings: judge -> (F, D), normalised; attributes: name -> (F, classes), rows summing to 1.
    """

    has_face: Tensor
    embeddings: dict[str, Tensor]
    attributes: dict[str, Tensor]

    @property
    def pictures(self) -> int:
        return self.has_face.numel()

    @property
    def faces(self) -> int:
        return int(self.has_face.sum())


@torch.no_grad()
def observe(
    pictures: Tensor,
    instruments: Instruments,
    *,
    attributes: bool,
    batch: int,
    stage: str,
    progress: Progress,
) -> Faces:
    """Detect and embed (P, 3, H, W) in [-1, 1], `batch` at a time.

    The detector's best face stands for the picture.
    """
    has_face: list[bool] = []
    embeddings: dict[str, list[Tensor]] = {judge.name: [] for judge in instruments.judges}
    predictions: dict[str, list[Tensor]] = {}
    for start in range(0, pictures.shape[0], batch):
        chunk = pictures[start : start + batch]
        found = instruments.detector.detect(chunk)
        has_face.extend(len(faces) > 0 for faces in found)
        seen = [index for index, faces in enumerate(found) if faces]
        if seen:
            crops, landmarks = chunk[seen], torch.stack([found[index][0].landmarks for index in seen])
            for judge in instruments.judges:
                embeddings[judge.name].append(_unit(judge.embed_faces(crops, landmarks)))
            for model in instruments.regressors if attributes else ():
                for name, values in _attributes(model, crops, landmarks):
                    predictions.setdefault(name, []).append(values)
        progress(stage, min(start + batch, pictures.shape[0]), pictures.shape[0])
    return Faces(
        has_face=torch.tensor(has_face, dtype=torch.bool),
        embeddings={
            name: torch.cat(rows) if rows else torch.empty(0, 1) for name, rows in embeddings.items()
        },
        attributes={name: torch.cat(rows) for name, rows in predictions.items()},
    )


def _unit(embeddings: Tensor) -> Tensor:
    return torch.nn.functional.normalize(embeddings.detach().float().cpu(), dim=1)


def _attributes(model: AttributeModel, images: Tensor, landmarks: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Distributions of the heads that say what a person looks like.

    Pose, gaze and the like vary on purpose.
    """
    predictions = model.predict_faces(images, landmarks)
    for name, head in model.heads.items():
        values = predictions[name].detach().float().cpu()
        if head.kind == "categorical":
            yield name, values
        elif head.kind == "binary":
            for column, output in enumerate(head.outputs):
                yield output, torch.stack([values[:, column], 1 - values[:, column]], 1)

"""Looking at pictures once: find the best face of each, then let every judge and attribute model see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from visard.audit.inputs import AttributeModel, Instruments
from visard.progress import Progress


@dataclass(frozen=True)
class Faces:
    """The faces of P pictures: `has_face` (P,), and for the F pictures with one, in order, what was seen.

    embeddings: judge -> (F, D), normalised; attributes: name -> (F, classes), rows summing to 1; quantities:
    name -> (F,) in the head's unit; landmarks (F, 5, 2) in px; descriptions (F, Q) of how each face differs
    from the average.
    """

    has_face: Tensor
    embeddings: dict[str, Tensor]
    attributes: dict[str, Tensor]
    quantities: dict[str, Tensor]
    landmarks: Tensor
    descriptions: Tensor

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
    batch: int,
    stage: str,
    progress: Progress,
) -> Faces:
    """Detect (P, 3, H, W) in [-1, 1] and look through the instruments there are, `batch` at a time.

    The detector's best face stands for the picture.
    """
    has_face: list[bool] = []
    embeddings: dict[str, list[Tensor]] = {judge.name: [] for judge in instruments.judges}
    attributes_seen: dict[str, list[Tensor]] = {}
    quantities: dict[str, list[Tensor]] = {}
    points: list[Tensor] = []
    descriptions: list[Tensor] = []
    for start in range(0, pictures.shape[0], batch):
        chunk = pictures[start : start + batch]
        found = instruments.detector.detect(chunk)
        has_face.extend(len(faces) > 0 for faces in found)
        seen = [index for index, faces in enumerate(found) if faces]
        if seen:
            crops, landmarks = chunk[seen], torch.stack([found[index][0].landmarks for index in seen])
            points.append(landmarks.detach().float().cpu())
            for judge in instruments.judges:
                embeddings[judge.name].append(_unit(judge.embed_faces(crops, landmarks)))
            if instruments.describer is not None:
                descriptions.append(described(instruments.describer, crops, landmarks))
            for model in instruments.regressors:
                predictions = _predictions(model, crops, landmarks)
                for name, values in _distributions(model, predictions):
                    attributes_seen.setdefault(name, []).append(values)
                for name, values in _quantities(model, predictions):
                    quantities.setdefault(name, []).append(values)
        progress(stage, min(start + batch, pictures.shape[0]), pictures.shape[0])
    return Faces(
        has_face=torch.tensor(has_face, dtype=torch.bool),
        embeddings={
            name: torch.cat(rows) if rows else torch.empty(0, 1) for name, rows in embeddings.items()
        },
        attributes={name: torch.cat(rows) for name, rows in attributes_seen.items()},
        quantities={name: torch.cat(rows) for name, rows in quantities.items()},
        landmarks=torch.cat(points) if points else torch.empty(0, 5, 2),
        descriptions=torch.cat(descriptions) if descriptions else torch.empty(0, 0),
    )


def described(describer: AttributeModel, images: Tensor, landmarks: Tensor) -> Tensor:
    """(B, Q) all the quantities a describer reads from pictures and their landmarks."""
    quantities = _quantities(describer, _predictions(describer, images, landmarks))
    return torch.stack([values for _, values in quantities], 1)


def _unit(embeddings: Tensor) -> Tensor:
    return torch.nn.functional.normalize(embeddings.detach().float().cpu(), dim=1)


def _predictions(model: AttributeModel, images: Tensor, landmarks: Tensor) -> dict[str, Tensor]:
    return {
        name: values.detach().float().cpu() for name, values in model.predict_faces(images, landmarks).items()
    }


def _distributions(model: AttributeModel, predictions: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Categorical and binary heads as distributions over their classes."""
    for name, head in model.heads.items():
        values = predictions[name]
        if head.kind == "categorical":
            yield name, values
        elif head.kind == "binary":
            for column, output in enumerate(head.outputs):
                yield output, torch.stack([values[:, column], 1 - values[:, column]], 1)


def _quantities(model: AttributeModel, predictions: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Continuous heads, a column each."""
    for name, head in model.heads.items():
        if head.kind == "continuous":
            yield from zip(head.outputs, predictions[name].T, strict=True)

"""What an attacker sees with: recognisers, whole pictures, the context without faces, descriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visard.attacks.views import AS_IT_IS, View
from visard.audit.inputs import AttributeModel, Judge
from visard.audit.observe import described
from visard.faces.alignment import align
from visard.faces.detector import Detector, Face
from visard.faces.recognizer import Recognizer
from visard.metrics.identity_similarity import reference_embedding

WHOLE, CONTEXT, DESCRIPTION = "whole picture", "context", "description"
MASK_MARGIN = 0.15
"""How far beyond the detected box a face is masked, as a share of the box."""


@dataclass(frozen=True)
class Sight:
    """What a matcher sees of P pictures: unit rows (P, D), zero where nothing is seen; quality (P,) >= 0."""

    rows: Tensor
    quality: Tensor


@dataclass(frozen=True)
class Lesson:
    """What a recogniser is fine-tuned on: people's (photos, pictures), these seen after a preprocessing.

    The gallery is not: an attacker who learned which entries to leave alone would know too much.
    """

    people: Sequence[tuple[Tensor, Tensor]]
    view: str
    steps: int
    seed: int


class Eyes(Protocol):
    """Turns pictures into what can be compared. `faces` are the recognisers of T0, `others` join at T1."""

    faces: Sequence[str]
    others: Sequence[str]
    views: Sequence[str]

    def look(self, pictures: Tensor, view: str, matchers: Sequence[str]) -> dict[str, Sight]:
        """Each matcher's sight of pictures (P, 3, H, W) after a preprocessing."""
        ...

    def enrol(self, photos: Tensor, view: str, matchers: Sequence[str]) -> dict[str, Tensor]:
        """A person's gallery entry (D,) for each matcher after a preprocessing, zero if it sees nothing."""
        ...

    def tuned(self, matcher: str, lesson: Lesson) -> str | None:
        """Fine-tune a recogniser; its new name, None if it cannot be."""
        ...


class Embeddings:
    """Eyes for those who already hold embeddings: "pictures" (P, D) are taken as they are."""

    faces: Sequence[str] = ("embedding",)
    others: Sequence[str] = ()
    views: Sequence[str] = (AS_IT_IS,)

    def look(self, pictures: Tensor, view: str, matchers: Sequence[str]) -> dict[str, Sight]:
        rows = F.normalize(pictures.float(), dim=1)
        return dict.fromkeys(matchers, Sight(rows, rows.norm(dim=1)))

    def enrol(self, photos: Tensor, view: str, matchers: Sequence[str]) -> dict[str, Tensor]:
        return dict.fromkeys(matchers, reference_embedding(photos.float()))

    def tuned(self, matcher: str, lesson: Lesson) -> str | None:
        return None


class Lenses:
    """Eyes for pictures.

    encoder: sees whole pictures (B, 3, H, W) -> (B, D), and the context once the face is masked. views:
    preprocessing by name, `AS_IT_IS` among them. describer: says how a face differs from the average.
    """

    def __init__(
        self,
        detector: Detector,
        recognizers: Sequence[Judge],
        encoder: nn.Module | None,
        views: Mapping[str, View],
        describer: AttributeModel | None = None,
        batch: int = 16,
    ) -> None:
        self.detector, self.encoder, self.describer, self.batch = detector, encoder, describer, batch
        self.recognizers = {each.name: each for each in recognizers}
        self.probes = dict(self.recognizers)
        """By which pictures are seen; a fine-tuned one stands before its original, which sees the gallery."""
        self.faces: Sequence[str] = tuple(self.recognizers)
        self.others: Sequence[str] = (
            *((WHOLE, CONTEXT) if encoder is not None else ()),
            *((DESCRIPTION,) if describer is not None else ()),
        )
        self.preprocess = views
        self.views: Sequence[str] = tuple(views)

    def look(self, pictures: Tensor, view: str, matchers: Sequence[str]) -> dict[str, Sight]:
        return self._look(pictures, view, {name: self.probes.get(name) for name in matchers})

    def enrol(self, photos: Tensor, view: str, matchers: Sequence[str]) -> dict[str, Tensor]:
        seen = self._look(photos, view, {name: self.recognizers.get(name) for name in matchers})
        return {name: reference_embedding(sight.rows) for name, sight in seen.items()}

    def tuned(self, matcher: str, lesson: Lesson) -> str | None:
        from visard.attacks.tuning import fine_tune

        original = self.recognizers.get(matcher)
        if not isinstance(original, Recognizer) or not any(True for _ in original.network.parameters()):
            return None
        crops, labels = [], []
        prototypes: list[Tensor] = []
        for photos, pictures in lesson.people:
            prototype = self.enrol(photos, AS_IT_IS, [matcher])[matcher]
            found = self._crops(pictures, lesson.view, original)
            if len(found) and bool(prototype.any()):
                crops.append(found)
                labels.append(torch.full((len(found),), len(prototypes)))
                prototypes.append(prototype)
        if len(prototypes) < 2:
            return None
        name = f"{matcher}, fine-tuned on {len(prototypes)} people"
        self.probes[name] = fine_tune(
            original,
            torch.cat(crops),
            torch.cat(labels),
            torch.stack(prototypes),
            steps=lesson.steps,
            generator=torch.Generator().manual_seed(lesson.seed),
        )
        self.recognizers[name] = original
        return name

    @torch.no_grad()
    def _look(self, pictures: Tensor, view: str, matchers: Mapping[str, Judge | None]) -> dict[str, Sight]:
        seen: dict[str, list[Sight]] = {name: [] for name in matchers}
        for chunk in torch.split(pictures, self.batch):
            shown = self.preprocess[view](chunk)
            faces = [found[0] if found else None for found in self.detector.detect(shown)]
            for name, judge in matchers.items():
                seen[name].append(
                    self._faces(judge, shown, faces) if judge else self._pictures(name, shown, faces)
                )
        return {name: joined(parts) for name, parts in seen.items()}

    def _faces(self, judge: Judge, pictures: Tensor, faces: Sequence[Face | None]) -> Sight:
        usable, landmarks = _landmarks(faces)
        if not usable:
            return _nothing(len(faces))
        if isinstance(judge, Recognizer):  # the length is a quality in MagFace and AdaFace
            crops = align(pictures[usable], landmarks, judge.spec.size, judge.target)
            features = judge.features(crops).float().cpu()
        else:
            features = judge.embed_faces(pictures[usable], landmarks).float().cpu()
        return _spread(features, usable, len(faces))

    def _pictures(self, name: str, pictures: Tensor, faces: Sequence[Face | None]) -> Sight:
        if name == DESCRIPTION and self.describer is not None:
            usable, landmarks = _landmarks(faces)
            if not usable:
                return _nothing(len(faces))
            return _spread(described(self.describer, pictures[usable], landmarks), usable, len(faces))
        if self.encoder is None:
            raise ValueError(f"there is no matcher {name!r}")
        if name == WHOLE:
            return _spread(self.encoder(pictures).float().cpu(), list(range(len(faces))), len(faces))
        # Without a detected face nothing could be masked, and the context would hold the face.
        found = [(index, face) for index, face in enumerate(faces) if face is not None]
        if not found:
            return _nothing(len(faces))
        masked = torch.stack([_masked(pictures[index], face) for index, face in found])
        return _spread(self.encoder(masked).float().cpu(), [index for index, _ in found], len(faces))

    @torch.no_grad()
    def _crops(self, pictures: Tensor, view: str, recognizer: Recognizer) -> Tensor:
        size, crops = recognizer.spec.size, []
        for chunk in torch.split(pictures, self.batch):
            shown = self.preprocess[view](chunk)
            usable, landmarks = _landmarks(
                [found[0] if found else None for found in self.detector.detect(shown)]
            )
            if usable:
                crops.append(align(shown[usable], landmarks, size, recognizer.target))
        return torch.cat(crops) if crops else torch.empty(0, 3, size, size)


def _landmarks(faces: Sequence[Face | None]) -> tuple[list[int], Tensor]:
    """Which pictures show a face, and the landmarks (F, 5, 2) of these."""
    found = [(index, face.landmarks) for index, face in enumerate(faces) if face is not None]
    return [index for index, _ in found], torch.stack([each for _, each in found]) if found else torch.empty(
        0
    )


def _masked(picture: Tensor, face: Face) -> Tensor:
    """A picture (3, H, W) whose face is grey.

    Nothing of the face may be left in the context: hence the box, also of a profile, and a fixed colour, not
    the ellipse of `picture_similarity.without_faces`, which keeps the hair.
    """
    left, top, right, bottom = face.box.tolist()
    margin_x, margin_y = MASK_MARGIN * (right - left), MASK_MARGIN * (bottom - top)
    rows = slice(max(0, round(top - margin_y)), max(0, round(bottom + margin_y)) + 1)
    columns = slice(max(0, round(left - margin_x)), max(0, round(right + margin_x)) + 1)
    masked = picture.clone()
    masked[:, rows, columns] = 0
    return masked


def _spread(features: Tensor, where: Sequence[int], pictures: int) -> Sight:
    """Features (F, D) of some of the pictures as unit rows of all, and their lengths."""
    rows, quality = torch.zeros(pictures, features.shape[1]), torch.zeros(pictures)
    index = torch.tensor(where, dtype=torch.long)
    rows[index], quality[index] = F.normalize(features, dim=1), features.norm(dim=1)
    return Sight(rows, quality)


def _nothing(pictures: int) -> Sight:
    return Sight(torch.zeros(pictures, 1), torch.zeros(pictures))


def joined(parts: Sequence[Sight]) -> Sight:
    """Sights of several batches as one; one that saw nothing at all does not know the width."""
    return Sight(joined_rows([part.rows for part in parts]), torch.cat([part.quality for part in parts]))


def joined_rows(parts: Sequence[Tensor]) -> Tensor:
    """Rows (n, D) below one another; all-zero rows may be of another width."""
    width = max(part.shape[1] for part in parts)
    return torch.cat([F.pad(part, (0, width - part.shape[1])) for part in parts])

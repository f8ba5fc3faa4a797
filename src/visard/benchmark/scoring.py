"""Scores of one person's pictures: every recogniser's similarity, rank and match rates, with counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from visard.audit.bench import Bench, build, left_out
from visard.audit.inputs import AuditSettings, Instruments
from visard.audit.observe import Faces, observe
from visard.benchmark.people import ENROLLED, LOOK
from visard.errors import InputError
from visard.faces.alignment import align
from visard.faces.detector import Detector
from visard.faces.qmagface import quality_aware_similarity
from visard.faces.recognizer import Recognizer
from visard.metrics.identification import tpir
from visard.metrics.identity_similarity import identity_similarity
from visard.metrics.open_set import search_scores
from visard.metrics.retrieval import median_rank, rank_from_bottom, ranks, retrieval_rate
from visard.metrics.verification import match_rate
from visard.progress import silent
from visard.storage import finite

MAGFACE = "magface"
"""The family of judges whose features are the longer the better the picture."""
MATCH_RATES = (1e-2, 1e-3)
SETTINGS = AuditSettings(false_match_rates=MATCH_RATES, draws=500)
"""Draws of the strangers behind the thresholds, the same for every unit; people are drawn at the end."""
SCORING = 2
"""Raised when the same pictures come to other scores: units are then scored anew, and not made anew."""


@dataclass(frozen=True)
class Strangers:
    """The gallery's faces as all recognisers see them, and whose they are: owner (F,) in 0..N-1."""

    faces: Faces
    owner: Tensor


@dataclass(frozen=True)
class Examination:
    """Figures as plain JSON, and what they come from: "recogniser/prompt" -> (P, 1 + N) similarities.

    Under "retrieval" stands QMagFace: a MagFace judge's features under a score that knows their quality.

    The person's column stands first; a picture without a face is a row of NaN. redrawn:
    "recogniser/prompt/figure" -> (draws,) shares above thresholds that each draw of the strangers sets anew.
    """

    report: dict[str, Any]
    similarities: dict[str, Tensor]
    redrawn: dict[str, Tensor]


class Panel:
    """Recognisers that look at pictures through one detector: judges, and the surrogates of the training.

    photos (M, 3, H, W) and owner (M,) are the strangers a person is told from.
    """

    def __init__(
        self,
        detector: Detector,
        judges: Sequence[Recognizer],
        surrogates: Sequence[Recognizer],
        photos: Tensor,
        owner: Tensor,
    ) -> None:
        self.detector = detector
        self.roles = {
            "judges": [each.name for each in judges],
            "surrogates": [each.name for each in surrogates],
        }
        self.instruments = Instruments(detector, [*judges, *surrogates])
        faces = self._look(photos)
        whose = owner[faces.has_face]
        _, dense = torch.unique(whose, return_inverse=True)  # a stranger without a face is not in the gallery
        self.strangers = Strangers(faces, dense)
        self.searched_by_quality = {
            judge: self._templates(_features(judge, photos, faces))
            for judge in judges
            if is_of(MAGFACE, judge.name)
        }

    def score(self, clean: Tensor, pictures: Mapping[str, Tensor]) -> Examination:
        """Judge pictures, prompt -> (P, 3, H, W), against the clean photos (R, 3, H, W) of one person.

        No embeddings leave; None where there is no face to speak of. Raises InputError.
        """
        reference = self._look(clean)
        if reference.faces < ENROLLED:
            raise InputError(
                f"{reference.faces} of {reference.pictures} clean photos show a face; {ENROLLED} must.",
                LOOK,
            )
        seen = {prompt: self._look(each) for prompt, each in pictures.items()}
        report: dict[str, Any] = {
            "detector": f"{self.detector.name}, {self.detector.setting}",
            "gallery": 1 + int(self.strangers.owner.max()) + 1,
            "prompts": {
                prompt: {"pictures": each.pictures, "faces": each.faces} for prompt, each in seen.items()
            },
        }
        similarities: dict[str, Tensor] = {}
        redrawn: dict[str, Tensor] = {}
        for role, names in self.roles.items():
            report[role] = {}
            for name in names:
                bench = self._bench(name, reference)
                report[role][name] = _recognizer(name, bench, reference, seen)
                for prompt, faces in seen.items():
                    found = _similarities(name, bench, faces)
                    similarities[f"{name}/{prompt}"] = _spread(found, faces)
                    for figure, shares in _redrawn(bench, found, faces.pictures).items():
                        redrawn[f"{name}/{prompt}/{figure}"] = shares
        report["retrieval"] = {
            f"q{judge.name}": {"prompts": self._searches(judge, (clean, reference), pictures, seen)}
            for judge in self.searched_by_quality
        }
        return Examination(report, similarities, redrawn)

    def _searches(
        self,
        judge: Recognizer,
        person: tuple[Tensor, Faces],
        pictures: Mapping[str, Tensor],
        seen: Mapping[str, Faces],
    ) -> dict[str, Any]:
        """Retrieval by QMagFace's score; a template is the mean of its photos' features."""
        own = _features(judge, *person).mean(0, keepdim=True)
        templates = torch.cat([own, self.searched_by_quality[judge]])
        found = {}
        for prompt, faces in seen.items():
            similarities = torch.empty(0, len(templates))
            if faces.faces:
                features = _features(judge, pictures[prompt], faces)
                similarities = quality_aware_similarity(features, templates)
            found[prompt] = _retrieval(similarities, faces.pictures)
        return found

    def _templates(self, features: Tensor) -> Tensor:
        """The strangers', of the features of their faces (F, D)."""
        owner = self.strangers.owner
        return torch.stack([features[owner == who].mean(0) for who in range(int(owner.max()) + 1)])

    def _bench(self, name: str, reference: Faces) -> Bench:
        return build(
            [reference.embeddings[name]],
            self.strangers.faces.embeddings[name],
            self.strangers.owner,
            SETTINGS,
            torch.Generator().manual_seed(SETTINGS.seed),
        )

    def _look(self, pictures: Tensor) -> Faces:
        return observe(
            pictures,
            self.instruments,
            batch=SETTINGS.batch,
            stage="scoring",
            progress=silent,
        )


def is_of(family: str, name: str) -> bool:
    """Whether a kit's recogniser is of a family, by its name: "arcface_r100" of "arcface"."""
    return name == family or name.startswith(f"{family}_")


def _recognizer(name: str, bench: Bench, reference: Faces, seen: Mapping[str, Faces]) -> dict[str, Any]:
    """What one recogniser says of everything."""
    real = left_out(reference.embeddings[name])
    return {
        "real": float(real.double().mean()),
        "real_photos": _per_picture(real, reference.has_face),
        "thresholds": {f"{rate:g}": threshold for rate, threshold in bench.matches.items()},
        "prompts": {
            prompt: _figures(bench, _similarities(name, bench, faces), faces.has_face)
            for prompt, faces in seen.items()
        },
    }


def _similarities(name: str, bench: Bench, faces: Faces) -> Tensor:
    """(F, 1 + N) of the faces to the gallery."""
    gallery = bench.templates
    return faces.embeddings[name] @ gallery.T if faces.faces else torch.empty(0, len(gallery))


def _spread(similarities: Tensor, faces: Faces) -> Tensor:
    """Rows of faces (F, n) as rows of pictures (P, n)."""
    spread = torch.full((faces.pictures, similarities.shape[1]), torch.nan)
    spread[faces.has_face] = similarities
    return spread


def _figures(bench: Bench, similarities: Tensor, has_face: Tensor) -> dict[str, Any]:
    """What one recogniser says of one prompt's pictures; shares are of all pictures unless they say so."""
    pictures = has_face.numel()
    own, true = similarities[:, 0], torch.zeros(len(similarities), dtype=torch.long)
    mean = identity_similarity(own, pictures)
    spread = torch.full((pictures,), -torch.inf)
    spread[has_face] = own
    return {
        "similarity": finite(mean.detected),
        "similarity_all": mean.overall,
        "strangers": finite(float(similarities[:, 1:].double().mean())),
        **_retrieval(similarities, pictures),
        "bottom_rank": finite(median_rank(rank_from_bottom(similarities, true))),
        "linked": tpir(similarities, true, bench.search, pictures),
        **{_match_figure(rate): match_rate(spread, threshold) for rate, threshold in bench.matches.items()},
        "similarities": _per_picture(own, has_face),
    }


def _redrawn(bench: Bench, similarities: Tensor, pictures: int) -> dict[str, Tensor]:
    """Of faces (F, 1 + N): figure -> (draws,) what `_figures` says under the thresholds of every draw."""
    own, naming = (
        similarities[:, 0],
        search_scores(similarities, torch.zeros(len(similarities), dtype=torch.long)),
    )
    above = {"linked": (naming, bench.search_draws)}
    above |= {_match_figure(rate): (own, draws) for rate, draws in bench.match_draws.items()}
    return {
        figure: (scores > thresholds[:, None]).sum(1).float() / pictures
        for figure, (scores, thresholds) in above.items()
    }


def _match_figure(rate: float) -> str:
    """What TMR at a false match rate is called."""
    return f"tmr@{rate:g}"


def _retrieval(similarities: Tensor, pictures: int) -> dict[str, Any]:
    """Rk-U of all pictures, and of those with a face (F, 1 + N)."""
    places = ranks(similarities, torch.zeros(len(similarities), dtype=torch.long))
    return {
        "rank_1": retrieval_rate(places, 1, pictures),
        "rank_1_detected": finite(retrieval_rate(places, 1)),
        "rank_5": retrieval_rate(places, 5, pictures),
        "rank_5_detected": finite(retrieval_rate(places, 5)),
    }


@torch.no_grad()
def _features(judge: Recognizer, pictures: Tensor, faces: Faces) -> Tensor:
    """What a judge sees in the faces (F, D), not normalised."""
    if not faces.faces:
        return torch.empty(0, judge.dimension)
    crops = align(pictures[faces.has_face], faces.landmarks, judge.spec.size, judge.target)
    return torch.cat([judge.features(each).float().cpu() for each in torch.split(crops, SETTINGS.batch)])


def _per_picture(values: Tensor, has_face: Tensor) -> list[float | None]:
    left = iter(values.tolist())
    return [round(next(left), 6) if face else None for face in has_face.tolist()]

"""Does an arm still show the person: attributes, appearance, whole pictures, prompt, diversity, copies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from visard.audit.inputs import AuditSettings, Instruments, Person
from visard.audit.observe import Faces
from visard.audit.quality import encode
from visard.audit.result import Appearance, Copying, Lift, Paired, Resemblance
from visard.metrics.appearance import self_similarity, similarity_to_each
from visard.metrics.attributes import picture_agreement, self_agreement
from visard.metrics.bootstrap import (
    Estimate,
    SubjectBootstrap,
    estimate,
    percentile_interval,
    weighted_share,
)
from visard.metrics.caption_agreement import caption_agreement
from visard.metrics.copy_paste import copy_paste, nearest_similarity
from visard.metrics.diversity import diversity, perceptual_diversity
from visard.metrics.lift import attribute_lift
from visard.metrics.picture_similarity import photo_similarity, picture_similarity, without_faces
from visard.metrics.quantities import quantity_correlation, self_within_tolerance, within_tolerance
from visard.metrics.retrieval import ranks


@dataclass(frozen=True)
class Looks:
    """An arm's pictures and the faces seen in them, person by person, and its bootstrap weights (draws, P).

    agreement: attribute -> (F,), how well each face agrees with its person; appearance (F,): how alike it is
    described, and first (F,) whether more than anybody else is, both empty without a describer.
    """

    prompt: str
    pictures: Sequence[Tensor]
    faces: Sequence[Faces]
    weights: Tensor
    agreement: dict[str, Tensor]
    appearance: Tensor
    first: Tensor

    @property
    def mean_agreement(self) -> Tensor:
        """(F,) over the attributes."""
        return torch.stack(list(self.agreement.values())).mean(0)

    @property
    def has_face(self) -> Tensor:
        """(P,)"""
        return torch.cat([each.has_face for each in self.faces])

    def of_all(self, values: Tensor) -> Tensor:
        """A value of each face (F,) as one of each picture (P,): without a face it resembles nobody, 0.

        Nothing resembles less than that: else destroying faces that are unlike the person would look better.
        """
        return self._spread(values).clamp(min=0)

    def replicas(self, values: Tensor, detected: bool = True) -> Tensor:
        """(draws,) the mean of the faces' values (F,) in each draw, of the faces or of all pictures."""
        if detected:
            return weighted_share(self._spread(values), self.weights * self.has_face)
        return weighted_share(self.of_all(values), self.weights)

    def _spread(self, values: Tensor) -> Tensor:
        spread = torch.zeros(self.has_face.numel(), dtype=torch.float64)
        spread[self.has_face] = values
        return spread

    def units(self, bootstrap: SubjectBootstrap) -> int:
        """What the mean over the faces rests on."""
        return bootstrap.units(torch.repeat_interleave(torch.tensor([faces.faces for faces in self.faces])))

    def estimate(self, values: Tensor, bootstrap: SubjectBootstrap, least: float) -> Estimate:
        """The mean of the faces' values (F,), which are in [least, 1]."""
        units = self.units(bootstrap)
        low, high = percentile_interval(self.replicas(values), units)
        return Estimate(float(values.mean()), max(low, least), min(high, 1.0), units, bootstrap.unit)

    def lift(
        self, values: Tensor, control: Looks, of_control: Tensor, ceiling: float, bootstrap: SubjectBootstrap
    ) -> Lift:
        """The faces' values (F,) beyond those of a control arm; ceiling: the clean photos'."""
        units = min(self.units(bootstrap), control.units(bootstrap))
        of_faces, of_all = (
            percentile_interval(
                self.replicas(values, detected) - control.replicas(of_control, detected), units
            )
            for detected in (True, False)
        )
        return Lift(
            attribute_lift(values, of_control),
            of_faces,
            attribute_lift(self.of_all(values), control.of_all(of_control)),
            of_all,
            ceiling - float(of_control.mean()),
        )


class Likeness:
    """What the people's photos look like to the instruments, computed once for all arms.

    strangers: descriptions (R, Q) of each one's photos; none without a describer.
    """

    def __init__(
        self,
        instruments: Instruments,
        people: Sequence[Person],
        references: Sequence[Faces],
        strangers: Sequence[Tensor],
        settings: AuditSettings,
        generator: Generator,
    ) -> None:
        self.instruments = instruments
        self.described = [*(seen.descriptions for seen in references), *strangers]
        self.settings = settings
        self.references = references
        self.of_photos = _means([_of_photos(seen, settings) for seen in references])
        own = [self_similarity(seen.descriptions) for seen in references]
        self.appearance_of_photos = _mean([float(each.mean()) for each in own])
        self.photos = photos = [person.photos for person in people]
        self.whole = self._matched(photos)
        self.masked = self._matched(_painted(photos, references))
        training = [person.training_photos for person in people]
        self.training = self._matched([each for each in training if each is not None])
        if len(self.training) < len(people):  # copies cannot be told where training photos are not known
            self.training = []
        self.diversity = self._diversity(photos, generator)

    def look(self, prompt: str, pictures: Sequence[Tensor], faces: Sequence[Faces], weights: Tensor) -> Looks:
        """How well every face of an arm agrees with its person."""
        agreement: dict[str, list[Tensor]] = {}
        appearance, first = [torch.empty(0, dtype=torch.float64)], [torch.empty(0, dtype=torch.float64)]
        for person, seen in enumerate(faces):
            if seen.faces and seen.descriptions.numel():
                similarities = similarity_to_each(seen.descriptions, self.described)
                appearance.append(similarities[:, person])
                places = ranks(similarities, torch.full((seen.faces,), person))
                first.append((places == 1).double())
        for seen, own in zip(faces, self.references, strict=True):
            for name in own.attributes:
                values = seen.attributes.get(name)
                part = torch.empty(0) if values is None else picture_agreement(values, own.attributes[name])
                agreement.setdefault(name, []).append(part.double())
            for name, tolerance in self._compared(own):
                values = seen.quantities.get(name, torch.empty(0))
                agreement.setdefault(name, []).append(
                    within_tolerance(values, own.quantities[name], tolerance)
                )
        return Looks(
            prompt,
            pictures,
            faces,
            weights,
            {name: torch.cat(parts) for name, parts in agreement.items()},
            torch.cat(appearance),
            torch.cat(first),
        )

    def measure(
        self, arm: Looks, control: Looks | None, bootstrap: SubjectBootstrap, generator: Generator
    ) -> Resemblance:
        """Everything about one arm; `control` is the attributes-only arm under the same prompt."""
        return Resemblance(
            agreement=self._agreement(arm, bootstrap),
            lift=self._lift(arm, control, bootstrap),
            attributes={name: float(values.mean()) for name, values in arm.agreement.items()},
            attributes_of_photos=self.of_photos,
            correlations=self._correlations(arm),
            appearance=self._appearance(arm, control, bootstrap),
            whole=self._paired(self._matched(arm.pictures), self.whole),
            masked=self._paired(self._matched(_painted(arm.pictures, arm.faces)), self.masked),
            captions=self._captions(arm),
            diversity=None
            if self._distance is None
            else Paired(self._distance, self._diversity(arm.pictures, generator), self.diversity),
            copying=self._copying(arm),
        )

    def _compared(self, seen: Faces) -> list[tuple[str, float]]:
        return [(name, width) for name, width in self.settings.tolerances.items() if name in seen.quantities]

    def _agreement(self, arm: Looks, bootstrap: SubjectBootstrap) -> Estimate | None:
        return arm.estimate(arm.mean_agreement, bootstrap, 0.0) if arm.agreement else None

    def _lift(self, arm: Looks, control: Looks | None, bootstrap: SubjectBootstrap) -> Lift | None:
        if control is None or not arm.agreement:
            return None
        ceiling = _mean(list(self.of_photos.values()))
        return arm.lift(arm.mean_agreement, control, control.mean_agreement, ceiling, bootstrap)

    def _appearance(
        self, arm: Looks, control: Looks | None, bootstrap: SubjectBootstrap
    ) -> Appearance | None:
        describer, ceiling = self.instruments.describer, self.appearance_of_photos
        if describer is None:
            return None
        lift = None
        if control is not None:
            lift = arm.lift(arm.appearance, control, control.appearance, ceiling, bootstrap)
        first = estimate(
            float(arm.of_all(arm.first).mean()),
            arm.replicas(arm.first, detected=False),
            bootstrap.units(torch.repeat_interleave(torch.tensor([each.pictures for each in arm.faces]))),
            bootstrap.unit,
        )
        return Appearance(describer.name, arm.estimate(arm.appearance, bootstrap, -1.0), ceiling, first, lift)

    def _correlations(self, arm: Looks) -> dict[str, float]:
        found = {}
        for name, _ in self._compared(self.references[0]):
            photos = _person_means(self.references, name)
            found[name] = quantity_correlation(_person_means(arm.faces, name), photos)
        return {name: value for name, value in found.items() if not math.isnan(value)}

    def _matched(self, pictures: Sequence[Tensor]) -> list[Tensor]:
        """Features of each person's pictures; nothing without a matcher."""
        network = self.instruments.matcher
        if network is None:
            return []
        return [encode(network, each, self.settings.batch) for each in pictures]

    def _paired(self, pictures: Sequence[Tensor], photos: Sequence[Tensor]) -> Paired | None:
        matcher = self.instruments.matcher
        if matcher is None:
            return None
        return Paired(
            matcher.name,
            _mean([picture_similarity(*pair) for pair in _both(pictures, photos)]),
            _mean([photo_similarity(each) for each in photos]),
        )

    def _captions(self, arm: Looks) -> Paired | None:
        encoder = self.instruments.captions
        words = " ".join(word for word in arm.prompt.split() if word != self.settings.trigger)
        if encoder is None or not words:
            return None
        with torch.no_grad():
            prompt = encoder.words([words])[0].float().cpu()
        pictures, photos = (
            torch.cat([encode(encoder.pictures, each, self.settings.batch) for each in of])
            for of in (arm.pictures, self.photos)
        )
        return Paired(encoder.name, caption_agreement(pictures, prompt), caption_agreement(photos, prompt))

    @property
    def _distance(self) -> str | None:
        """What diversity is measured in."""
        if self.instruments.perceptual is not None:
            return self.instruments.perceptual.name
        named = self.instruments.features_name or "an unnamed feature network"
        return None if self.instruments.features is None else f"1 − cosine of {named}"

    def _diversity(self, pictures: Sequence[Tensor], generator: Generator) -> float:
        distance, network = self.instruments.perceptual, self.instruments.features
        if distance is not None:
            with torch.no_grad():
                return _mean([perceptual_diversity(each, distance, generator) for each in pictures])
        if network is None:
            return math.nan
        return _mean([diversity(encode(network, each, self.settings.batch)) for each in pictures])

    def _copying(self, arm: Looks) -> Copying | None:
        matcher = self.instruments.matcher
        if matcher is None or not self.training:
            return None
        near, near_photos = (
            torch.cat([nearest_similarity(*pair) for pair in zip(of, self.training, strict=True)])
            for of in (self._matched(arm.pictures), self.whole)
        )
        return Copying(
            matcher.name,
            copy_paste(near, near_photos),
            float(near.mean()),
            float(near_photos.mean()),
        )


def _of_photos(seen: Faces, settings: AuditSettings) -> dict[str, float]:
    """The ceiling: agreement of each of a person's photos with the others."""
    found = self_agreement(seen.attributes)
    for name, tolerance in settings.tolerances.items():
        if name in seen.quantities:
            found[name] = self_within_tolerance(seen.quantities[name], tolerance)
    return found


def _painted(pictures: Sequence[Tensor], faces: Sequence[Faces]) -> list[Tensor]:
    """Each person's pictures with a face, the face painted over."""
    return [
        without_faces(each[seen.has_face], seen.landmarks) for each, seen in zip(pictures, faces, strict=True)
    ]


def _person_means(faces: Sequence[Faces], name: str) -> Tensor:
    """(S,) mean of a quantity over each person's faces; NaN for a person without one."""
    return torch.stack([seen.quantities.get(name, torch.empty(0)).double().mean() for seen in faces])


def _both(pictures: Sequence[Tensor], photos: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """The people of whom there are features on both sides."""
    return [(one, two) for one, two in zip(pictures, photos, strict=True) if len(one) and len(two)]


def _means(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: _mean([row[name] for row in rows if name in row]) for name in names}


def _mean(values: Sequence[float]) -> float:
    """Mean of what is a number; NaN if nothing is."""
    kept = [value for value in values if not math.isnan(value)]
    return math.fsum(kept) / len(kept) if kept else math.nan

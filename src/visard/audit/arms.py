"""Every arm before every judge, and its quality and resemblance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from visard.audit.bench import Bench
from visard.audit.figures import Scores, judge_figures
from visard.audit.inputs import AuditSettings, FaceFinder, Person, split_key
from visard.audit.observe import Faces
from visard.audit.quality import PhotoQuality
from visard.audit.resemblance import Likeness
from visard.audit.result import ArmResult
from visard.metrics.bootstrap import SubjectBootstrap
from visard.metrics.face_success import FaceSuccess


@dataclass(frozen=True)
class Rooms:
    """Where arms are measured: the judges' benches, and what the people's photos say of quality and likeness.

    All arms share the bootstrap, so that they are compared on the same people.
    """

    benches: Mapping[str, Bench]
    quality: PhotoQuality
    likeness: Likeness
    detector: FaceFinder
    bootstrap: SubjectBootstrap
    settings: AuditSettings
    generator: Generator


def measure_arms(
    people: Sequence[Person], seen: Mapping[str, Sequence[Faces]], rooms: Rooms
) -> list[ArmResult]:
    """seen: "arm/prompt" -> the faces of each person's pictures."""
    owners = {
        key: torch.repeat_interleave(torch.tensor([faces.pictures for faces in arm]))
        for key, arm in seen.items()
    }
    weights = {key: rooms.bootstrap.weights(owner) for key, owner in owners.items()}
    scores = {
        (key, name): _scores(arm, owners[key], bench, name)
        for key, arm in seen.items()
        for name, bench in rooms.benches.items()
    }
    looks = {
        key: rooms.likeness.look(
            split_key(key)[1], [person.pictures[key] for person in people], arm, weights[key]
        )
        for key, arm in seen.items()
    }
    results = []
    for key, arm in seen.items():
        name, prompt = split_key(key)
        undefended = _other(key, rooms.settings.undefended, seen)
        control = _other(key, rooms.settings.attributes_only, seen)
        pictures = looks[key].pictures
        results.append(
            ArmResult(
                arm=name,
                prompt=prompt,
                pictures=sum(len(each) for each in pictures),
                faces=face_success(arm, rooms.detector),
                judges=[
                    judge_figures(
                        judge,
                        scores[key, judge],
                        rooms.bootstrap,
                        weights[key],
                        rooms.settings,
                        rooms.generator,
                        None if undefended is None else (scores[undefended, judge], weights[undefended]),
                    )
                    for judge in rooms.benches
                ],
                quality=rooms.quality.measure(pictures, arm, rooms.generator),
                resemblance=rooms.likeness.measure(
                    looks[key], None if control is None else looks[control], rooms.bootstrap, rooms.generator
                ),
            )
        )
    return results


def face_success(looks: Sequence[Faces], detector: FaceFinder) -> FaceSuccess:
    """FSR over all people's pictures."""
    faces, pictures = sum(look.faces for look in looks), sum(look.pictures for look in looks)
    return FaceSuccess(faces / pictures, faces, pictures, f"{detector.name}, {detector.setting}")


def _other(key: str, arm: str, seen: Mapping[str, Sequence[Faces]]) -> str | None:
    """The key of a control arm under the same prompt, if it was audited and is not this one."""
    _, prompt = split_key(key)
    other = f"{arm}/{prompt}" if prompt else arm
    return other if other != key and other in seen else None


def _scores(arm: Sequence[Faces], owner: Tensor, bench: Bench, judge: str) -> Scores:
    rows = [faces.embeddings[judge] for faces in arm if faces.faces]
    embeddings = torch.cat(rows) if rows else torch.empty(0, bench.templates.shape[1])
    return Scores(bench, embeddings @ bench.templates.T, torch.cat([faces.has_face for faces in arm]), owner)

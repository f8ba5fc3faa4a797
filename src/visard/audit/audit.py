"""The measurement: pictures of people, before judges, in a gallery of strangers."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from visard import __version__
from visard.audit.arms import Rooms, face_success, measure_arms
from visard.audit.bench import Bench, build
from visard.audit.claim import TIER, claims
from visard.audit.flags import Evidence, raised, unchecked
from visard.audit.gate import verdicts
from visard.audit.inputs import AuditSettings, Instruments, ModelId, Person, Strangers
from visard.audit.observe import Faces, observe
from visard.audit.quality import PhotoQuality
from visard.audit.resemblance import Likeness
from visard.audit.result import AuditResult, Curve, JudgeCard
from visard.errors import InputError
from visard.metrics.appearance import by_person
from visard.metrics.bootstrap import SubjectBootstrap
from visard.metrics.verification import det_curve
from visard.progress import Progress, silent


def audit(
    pictures: Mapping[str, Tensor],
    reference: Tensor,
    gallery: Strangers,
    instruments: Instruments,
    *,
    training_photos: Tensor | None = None,
    surrogates: Sequence[ModelId] = (),
    settings: AuditSettings | None = None,
    progress: Progress = silent,
) -> AuditResult:
    """Audit one person.

    Pictures "arm/prompt" -> (P, 3, H, W), reference (R, 3, H, W) clean photos, all in [-1, 1].
    """
    person = Person(reference, pictures, training_photos)
    return audit_people(
        [person], gallery, instruments, surrogates=surrogates, settings=settings, progress=progress
    )


def audit_people(
    people: Sequence[Person],
    gallery: Strangers,
    instruments: Instruments,
    *,
    surrogates: Sequence[ModelId] = (),
    settings: AuditSettings | None = None,
    progress: Progress = silent,
) -> AuditResult:
    """Audit several people together: every arm must hold pictures of each. Raises InputError."""
    chosen = settings or AuditSettings()
    arms = _check(people, gallery, instruments)
    generator = torch.Generator().manual_seed(chosen.seed)

    def look(photos: Tensor, stage: str, through: Instruments = instruments) -> Faces:
        return observe(photos, through, batch=chosen.batch, stage=stage, progress=progress)

    strangers = look(gallery.photos, "gallery", replace(instruments, regressors=()))
    references = [look(person.photos, "reference photos") for person in people]
    if not all(faces.faces for faces in references):
        raise InputError(
            "No face was found in any reference photo of a person.", "Give clear photos of the face."
        )
    owner, enrolled = _gallery_owners(gallery, strangers)
    benches = {
        judge.name: build(
            [faces.embeddings[judge.name] for faces in references],
            strangers.embeddings[judge.name],
            owner,
            chosen,
            generator,
        )
        for judge in instruments.judges
    }
    reference_photos = torch.cat([person.photos for person in people])
    natural = _natural(reference_photos, gallery.photos)
    rooms = Rooms(
        benches,
        PhotoQuality(
            instruments, [person.photos for person in people], references, natural, chosen.batch, generator
        ),
        Likeness(
            instruments, people, references, by_person(strangers.descriptions, owner), chosen, generator
        ),
        instruments.detector,
        SubjectBootstrap(len(people), chosen.draws, generator),
        chosen,
        generator,
    )
    seen = {key: [look(person.pictures[key], f"pictures of {key}") for person in people] for key in arms}
    results = measure_arms(people, seen, rooms)
    cards = [
        _card(judge.name, judge.family, instruments, benches[judge.name], len(people))
        for judge in instruments.judges
    ]
    evidence = Evidence(people, gallery, surrogates, cards, results, chosen, enrolled)
    size, flags = len(people) + enrolled, raised(evidence)
    return AuditResult(
        tier=TIER,
        claims=claims(results, size, len(people), chosen),
        flags=flags,
        unchecked=unchecked(evidence),
        people=len(people),
        gallery=size,
        fpir=evidence.fpir,
        gallery_photos=strangers.pictures,
        gallery_without_face=strangers.pictures - strangers.faces,
        reference_photos=reference_photos.shape[0],
        reference_faces=face_success(references, instruments.detector),
        judges=cards,
        arms=results,
        verdicts=verdicts(results, flags, chosen),
        absent=instruments.absent(),
        settings=chosen,
        surrogates=[model.name for model in surrogates],
        versions={"visard": __version__, "torch": torch.__version__, "python": platform.python_version()},
    )


def _check(people: Sequence[Person], gallery: Strangers, instruments: Instruments) -> list[str]:
    if not people or not instruments.judges:
        raise InputError(
            "An audit needs at least one person and one judge.", "Give photos and a kit with judges."
        )
    if len(gallery.labels) != gallery.photos.shape[0]:
        raise InputError("The gallery needs one label a photo.", "Say whose each photo is.")
    arms = list(people[0].pictures)
    for person in people:
        if list(person.pictures) != arms or not all(len(rows) for rows in person.pictures.values()):
            raise InputError(
                "Every arm needs pictures of every person.",
                "Generate the missing pictures, or audit fewer arms.",
            )
    if not arms:
        raise InputError("There are no pictures to audit.", "Generate some first.")
    return arms


def _gallery_owners(gallery: Strangers, seen: Faces) -> tuple[Tensor, int]:
    """Whose each detected stranger's face is, 0..N-1, and N."""
    labels = [label for label, face in zip(gallery.labels, seen.has_face.tolist(), strict=True) if face]
    index = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    if len(index) < 2:
        raise InputError(
            "The gallery shows fewer than two strangers.",
            "Add photos of other people; a hundred people is a good size.",
        )
    return torch.tensor([index[label] for label in labels]), len(index)


def _natural(reference: Tensor, strangers: Tensor) -> Tensor:
    return torch.cat([reference, strangers]) if reference.shape[1:] == strangers.shape[1:] else strangers


def _card(name: str, family: str, instruments: Instruments, bench: Bench, people: int) -> JudgeCard:
    real = det_curve(bench.real_own, bench.non_mated).thinned() if bench.real_own.numel() else None
    links, of_people = bench.real_links.double(), bench.real_column < people
    checked = torch.unique(bench.real_column[of_people])
    return JudgeCard(
        name=name,
        family=family,
        sha256=instruments.hashes.get(name, ""),
        search_threshold=bench.search,
        match_thresholds={f"{rate:g}": threshold for rate, threshold in bench.matches.items()},
        real_photos=bench.real_own.numel(),
        real_linked=float(links.mean()),
        own_photos=int(of_people.sum()),
        own_linked=float(links[of_people].mean()),
        own_linked_by_person=[float(links[bench.real_column == who].mean()) for who in checked],
        people_doubled=bench.people_doubled,
        strangers_doubled=bench.strangers_doubled,
        real_similarity=float(bench.real_own.double().mean()),
        real_match_rates={f"{rate:g}": bench.real_match_rate(rate) for rate in bench.matches},
        real_det=Curve([], []) if real is None else Curve(real.fmr.tolist(), real.fnmr.tolist()),
        non_mated_comparisons=bench.non_mated.numel(),
    )

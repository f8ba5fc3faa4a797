"""The people under attack as an audit sees them, with what the attack found: what its report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from visard.attacks.inputs import AttackSettings, Source, read
from visard.attacks.result import AttackTier
from visard.attacks.views import resize
from visard.audit.audit import audit_people
from visard.audit.inputs import AuditSettings, Instruments, ModelId, Person, Strangers
from visard.audit.result import AuditResult
from visard.audit.tiers import with_tiers
from visard.progress import Progress, silent


def audited(
    people: Sequence[Person],
    strangers: Mapping[str, Source],
    tiers: Sequence[AttackTier],
    instruments: Instruments,
    *,
    surrogates: Sequence[ModelId] = (),
    settings: AttackSettings | None = None,
    progress: Progress = silent,
) -> AuditResult:
    """Audit the people under attack in the attack's gallery; claims and flags speak of its tiers too.

    Square pictures of several sizes are resized to the smallest. Raises InputError.
    """
    side = min(pictures.shape[-1] for person in people for pictures in person.pictures.values())
    photos = [_fitted(read(each), side) for each in strangers.values()]
    found = audit_people(
        [_person(person, side) for person in people],
        Strangers(torch.cat(photos), [index for index, rows in enumerate(photos) for _ in rows]),
        instruments,
        surrogates=surrogates,
        settings=AuditSettings(fpir=(settings or AttackSettings()).fpir),
        progress=progress,
    )
    return with_tiers(found, tiers)


def _person(person: Person, side: int) -> Person:
    training = person.training_photos
    return Person(
        _fitted(person.photos, side),
        {key: _fitted(each, side) for key, each in person.pictures.items()},
        None if training is None else _fitted(training, side),
    )


def _fitted(pictures: Tensor, side: int) -> Tensor:
    return pictures if pictures.shape[-1] == side else resize(pictures, side, side)

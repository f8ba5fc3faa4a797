"""How much of a face the one-step estimate x0-hat holds at each timestep: what the setting t_max rests on.

On people of the embedded world who are not under test, with surrogates alone, on the model as it is when
the first Stage II step of a run begins.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, islice
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from visard.benchmark.people import Camera
from visard.errors import InputError
from visard.faces.detector import Detector
from visard.faces.recognizer import Recognizer
from visard.images import center_crop, to_tensor
from visard.kits import Kit
from visard.personalization.decoupling import Decoupling, Stage
from visard.personalization.identity import IdentityLoss, find_landmarks
from visard.personalization.photos import Photos, prepare
from visard.personalization.session import Session
from visard.personalization.settings import PersonalizationSettings
from visard.photos.selection import MINIMUM
from visard.progress import Progress, silent
from visard.storage import atomic_write

STAGE = "timesteps"
ALL = 2**31
"""A t_max beyond every schedule."""
TAKEN = 40
"""Photos looked at, at most, for those with one face."""


@dataclass(frozen=True)
class Row:
    """One timestep, over all photos and draws of noise."""

    t: int
    signal: float
    """sqrt(abar_t): the photo's share of z_t."""
    pictures: int
    detected: float
    """Share of the estimates in which the detector finds a face."""
    similarity: dict[str, float | None]
    """Mean cosine of a found face to the photo's own, by surrogate; None where no face was found."""
    agreement: float
    """Mean cosine of two gradients of L_id with different noise."""
    signs: float
    """Share of pixels to which two such gradients give the same sign; .5 is chance."""


@dataclass(frozen=True)
class Study:
    """The whole table, and what it was made on."""

    people: list[int]
    photos: int
    """A person."""
    draws: int
    fine_tuning_steps: int
    strangers: dict[str, float | None]
    """Mean cosine of two people's photos, by surrogate: what a face that holds nobody would come to."""
    rows: list[Row]

    def write(self, file: Path) -> None:
        """As JSON. Raises StorageError."""
        atomic_write(file, (json.dumps(asdict(self), indent=1) + "\n").encode())


@dataclass(frozen=True)
class Seen:
    """One photo at one timestep."""

    t: int
    similarities: list[list[float]]
    """Of the draws in which a face was found, by surrogate."""
    agreement: list[float]
    signs: list[float]
    """Of every two draws' gradients."""


def study(
    settings: PersonalizationSettings,
    kit: Kit,
    people: Sequence[int],
    camera: Camera,
    *,
    timesteps: Sequence[int],
    photos: int = 4,
    draws: int = 4,
    base: str | Path | None = None,
    progress: Progress = silent,
) -> Study:
    """Look at `photos` of each of `people`, at every timestep with `draws` of noise. Raises InputError."""
    settings = replace(
        settings,
        defence="iddm",
        fine_tuning=replace(settings.fine_tuning, prior_weight=0.0),
        decoupling=replace(settings.decoupling, floor="none", rho=0.0, draws=1, t_max=ALL),
    )
    seen: list[Seen] = []
    faces: list[Tensor] = []
    signal: dict[int, float] = {}
    for index, person in enumerate(people):
        backbone, surrogates, detector = kit.backbone(base), kit.surrogates(), kit.detector()
        last = len(backbone.schedule) - 1
        if max(timesteps) > last:
            raise InputError(f"This model has no timestep {max(timesteps)}.", f"The last one is {last}.")
        taken = _usable(camera, person, 2 * max(photos, MINIMUM // 2), backbone.resolution, detector)
        sitting = prepare(taken, detector, resolution=backbone.resolution, prompt=settings.prompts.instance)
        session = Session(settings, sitting, backbone, surrogates, detector, cache=None, progress=silent)
        steps = next(i for i, move in enumerate(session.iddm.moves) if isinstance(move.kind, Stage))
        for _ in islice(session.iddm, steps):
            pass
        decoupling = session.iddm.decoupling
        assert decoupling is not None  # defence = "iddm"
        assert decoupling.identity is not None  # rho = 0
        signal |= {t: float(backbone.schedule.alphas_cumprod[t].sqrt()) for t in timesteps}
        own = _faces(surrogates, sitting.originals, sitting.landmarks)
        faces.append(own)
        for done, t in enumerate(timesteps, start=1):
            seen += _look(decoupling, decoupling.identity, sitting, own, t, draws)
            progress(STAGE, index * len(timesteps) + done, len(people) * len(timesteps))
    names = [each.name for each in kit.surrogates()]
    rows = [_row(t, signal[t], [each for each in seen if each.t == t], names, draws) for t in timesteps]
    return Study(list(people), photos, draws, steps, _strangers(faces, names), rows)


def _look(
    decoupling: Decoupling,
    identity: IdentityLoss,
    photos: Photos,
    own: Tensor,
    t: int,
    draws: int,
) -> list[Seen]:
    """Every photo of X_0 at `t`; `own` (N, M, D) are its faces as the surrogates see them."""
    found = []
    text = decoupling.embed(photos.prompts)
    uniform = torch.tensor([(t + 0.5) / len(decoupling.backbone.schedule)])
    for index in range(len(photos.originals)):
        rows = slice(index, index + 1)
        similarities, gradients = [], []
        for _ in range(draws):
            leaf = photos.originals[rows].clone().requires_grad_(True)
            noise = replace(next(decoupling.draw(leaf)), uniform=uniform)
            estimate = decoupling.denoised(leaf, text[rows], noise)
            loss = identity(estimate, [photos.landmarks[index]]).loss.sum()
            gradients.append(torch.autograd.grad(loss, leaf)[0].flatten())
            (points,) = find_landmarks(identity.detector, estimate)
            if points is not None:
                face = _faces(identity.recognizers, estimate.detach(), points[None])
                similarities.append((face * own[rows]).sum(-1)[0].tolist())
        pairs = list(combinations(gradients, 2))
        agreement = [float(torch.cosine_similarity(a, b, dim=0)) for a, b in pairs]
        signs = [float((a.sign() == b.sign()).float().mean()) for a, b in pairs]
        found.append(Seen(t, similarities, agreement, signs))
    return found


def _row(t: int, signal: float, seen: Sequence[Seen], names: Sequence[str], draws: int) -> Row:
    similarities = [values for each in seen for values in each.similarities]
    return Row(
        t=t,
        signal=signal,
        pictures=len(seen) * draws,
        detected=len(similarities) / (len(seen) * draws),
        similarity=_means(names, similarities),
        agreement=fmean(value for each in seen for value in each.agreement),
        signs=fmean(value for each in seen for value in each.signs),
    )


def _strangers(faces: Sequence[Tensor], names: Sequence[str]) -> dict[str, float | None]:
    """Cosines of every two people's photos, (N, M, D) each, as means by surrogate."""
    pairs = [torch.einsum("amd,bmd->abm", a, b).flatten(0, 1) for a, b in combinations(faces, 2)]
    return _means(names, torch.cat(pairs).tolist() if pairs else [])


def _means(names: Sequence[str], values: Sequence[Sequence[float]]) -> dict[str, float | None]:
    columns: Mapping[str, list[float]] = {name: [row[m] for row in values] for m, name in enumerate(names)}
    return {name: fmean(column) if column else None for name, column in columns.items()}


def _faces(recognizers: Sequence[Recognizer], images: Tensor, landmarks: Tensor) -> Tensor:
    """Embeddings (N, M, D) of the faces of pictures; widths that differ are filled up with zeros."""
    with torch.no_grad():
        each = [recognizer.embed_faces(images, landmarks) for recognizer in recognizers]
    width = max(embedding.shape[1] for embedding in each)
    padded = [torch.nn.functional.pad(embedding, (0, width - embedding.shape[1])) for embedding in each]
    return torch.stack(padded, dim=1).cpu()


def _usable(camera: Camera, person: int, count: int, side: int, detector: Detector) -> Tensor:
    """The first `count` photos (N, 3, side, side) that show one face. Raises InputError for fewer."""
    found: list[Tensor] = []
    for first in range(0, TAKEN, count):
        for image in camera(person, min(count, TAKEN - first), first):
            photo = to_tensor(center_crop(image, side))
            if len(detector.detect(photo[None])[0]) == 1:
                found.append(photo)
            if len(found) == count:
                return torch.stack(found)
    raise InputError(
        f"{len(found)} of {TAKEN} photos of person {person} show one face; {count} are needed.",
        "Look at the photos and at the kit's detector.",
    )

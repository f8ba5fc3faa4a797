"""Choosing from a folder of photos: whose face is common to them, how to cut it out, and which serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from visard.errors import InputError
from visard.faces.detector import Detector, Face
from visard.faces.recognizer import Recognizer
from visard.faces.regressor import FaceRegressor
from visard.images import Photo, picture_files, read_photo, to_tensor
from visard.photos import duplicates
from visard.photos.framing import BYSTANDER, Frame, frame
from visard.photos.people import by_presence, rivals, similarities, sort_by_person
from visard.photos.quality import Portrait, complaints, measures
from visard.photos.selection import MINIMUM, Box, Selection, Shot, Sighting, Somebody, Verdict
from visard.photos.windows import area, find_faces, largest, shared
from visard.progress import Progress, silent

MOST_FACES = 24
"""Faces of one photo that are looked at, the largest: beyond them is a crowd."""
LEAST_FACE = 20
"""Pixels of a face's shorter side below which nobody can be told from anybody."""
PREVIEW = 480
"""Pixels of the longer side of the small copy that a contact sheet shows."""
NO_FACE = "No face was found in it: hidden, turned away, or too small?"
READING, CUTTING = "reading photos", "cutting pictures"


@dataclass(frozen=True)
class Candidate:
    """A face before anybody knows whose it is, cut as it would be used."""

    photo: int
    extent: tuple[int, int]
    face: Face
    square: Frame
    cut: Image.Image
    embeddings: tuple[Tensor, ...]
    cut_off: float


class Selector:
    """Looks through photos one at a time, so that a folder of any length fits into memory, then decides.

    recognizers: those that tell people apart; without any, a photo's largest face is taken for the person.
    regressors: one with a head `pose` that gives `yaw` replaces the estimate from landmarks.
    """

    def __init__(
        self,
        detector: Detector,
        recognizers: Sequence[Recognizer],
        *,
        size: int,
        regressors: Sequence[FaceRegressor] = (),
    ) -> None:
        self.detector, self.recognizers, self.size = detector, recognizers, size
        self.pose = next((each for each in regressors if _yaw_column(each) is not None), None)

    def select(self, folder: str | Path, person: int | None = None, progress: Progress = silent) -> Selection:
        """Decide about every picture of `folder`; `person` is a number of an earlier selection's people.

        Raises InputError when there is no folder, no picture or no such person.
        """
        folder = Path(folder)
        files = picture_files(folder)
        if not files:
            raise InputError(f"{folder} holds no pictures; at least {MINIMUM} needed.", "Add photos.")
        shots, candidates, small = [], [], []
        for index, file in enumerate(files):
            try:
                photo = read_photo(file, index)
            except InputError as error:
                shots.append(Shot(index + 1, file, "unreadable", (error.message, error.advice)))
                small.append(torch.zeros(1, 3, 2, 2))
            else:
                found = self._candidates(photo)
                candidates += found
                shots.append(_undecided(photo, found))
                small.append(to_tensor(photo.image)[None])
            small[-1] = duplicates.thumbnails(small[-1])
            progress(READING, index + 1, len(files))
        people = self._people(candidates)
        chosen, doubt = _choose(people, candidates, len(files), person)
        shots = [_with_people(shot, people, candidates) for shot in shots]
        if chosen is not None:
            shots = self._decide(shots, candidates, people[chosen - 1], progress)
            shots = _without_copies(shots, torch.cat(small))
        return Selection(folder, self.size, tuple(shots), _somebodies(people, candidates), chosen, doubt)

    @torch.no_grad()
    def _candidates(self, photo: Photo) -> list[Candidate]:
        """The faces of one photo that somebody could be told by, largest first."""
        width, height = photo.image.size
        faces = [
            face
            for face in find_faces(self.detector, photo.image)[:MOST_FACES]
            if float((face.box[2:] - face.box[:2]).min()) >= min(LEAST_FACE, 0.1 * min(width, height))
        ]
        whole = torch.tensor([0, 0, width, height], dtype=torch.float32)
        found = []
        for face in faces:
            others = [other.box for other in faces if other is not face]
            square = frame(face.box, others, width, height)
            cut = square.cut(photo.image, self.size)
            embeddings = self._embed(to_tensor(cut), square.inside(face.landmarks, self.size))
            cut_off = 1 - shared(face.box, whole) / max(area(face), 1e-9)
            found.append(Candidate(photo.index, photo.image.size, face, square, cut, embeddings, cut_off))
        return found

    def _embed(self, picture: Tensor, landmarks: Tensor) -> tuple[Tensor, ...]:
        face = picture[None], landmarks[None]
        return tuple(recognizer.embed_faces(*face)[0].cpu() for recognizer in self.recognizers)

    def _people(self, candidates: Sequence[Candidate]) -> list[list[int]]:
        """Places in `candidates` of each person, the person of most photos first."""
        if not candidates:
            return []
        photo = [candidate.photo for candidate in candidates]
        sizes = [area(candidate.face) for candidate in candidates]
        if not self.recognizers:
            first = {candidate.photo: index for index, candidate in reversed(list(enumerate(candidates)))}
            return [sorted(first.values())]
        return by_presence(sort_by_person(_alike(candidates), photo), sizes)

    @torch.no_grad()
    def _decide(
        self, shots: Sequence[Shot], candidates: Sequence[Candidate], group: Sequence[int], progress: Progress
    ) -> list[Shot]:
        """Every photo measured; left out where no face of `group`, places in `candidates`, is seen."""
        own = [candidates[index] for index in group]
        alike = _alike(own) if self.recognizers else torch.full((len(own), len(own)), torch.nan)
        place = {candidate.photo: index for index, candidate in enumerate(own)}
        decided = []
        for index, shot in enumerate(shots):
            progress(CUTTING, index + 1, len(shots))
            if shot.verdict == "unreadable":
                decided.append(shot)
            elif index in place:
                row = place[index]
                others = torch.cat([alike[row, :row], alike[row, row + 1 :]])
                decided.append(self._measured(shot, own[row], float(others.mean())))
            elif shot.sightings:
                nearest = next(candidate for candidate in candidates if candidate.photo == index)
                decided.append(_unrecognised(self._measured(shot, nearest, torch.nan)))
            else:
                decided.append(replace(shot, verdict="left out", reasons=(NO_FACE,)))
        return decided

    def _measured(self, shot: Shot, candidate: Candidate, likeness: float) -> Shot:
        """The photo as the model would see it, looked at once more."""
        picture = to_tensor(candidate.cut)
        faces = self.detector.detect(picture[None])[0]
        shot = replace(shot, picture=picture, square=_shares(candidate.square.box, candidate.extent))
        if not faces:
            why = "Cut out, the face is not found again: it is hardly visible."
            return replace(shot, verdict="left out", reasons=(why,))
        face = largest(faces)
        near = sum(area(other) >= BYSTANDER * area(face) for other in faces) - 1
        if near or not _same_place(face, candidate.square, candidate.face, self.size):
            why = "Another face is too close to leave it out of the picture. Crop it to the person."
            return replace(shot, verdict="left out", reasons=(why,))
        portrait = Portrait(
            picture,
            face,
            enlargement=self.size / candidate.square.side,
            cut_off=candidate.cut_off,
            likeness=likeness,
            yaw=self._yaw(picture, face),
        )
        values = measures(portrait)
        broken = complaints(values)
        refused = any(limit.verdict(values[limit.name]) == "refuse" for limit, _ in broken)
        verdict: Verdict = "left out" if refused else "used with a warning" if broken else "used"
        return replace(
            shot, verdict=verdict, reasons=tuple(sentence for _, sentence in broken), measures=values
        )

    def _yaw(self, picture: Tensor, face: Face) -> float | None:
        if self.pose is None:
            return None
        predicted = self.pose.predict_faces(picture[None], face.landmarks[None])
        return float(predicted["pose"][0, _yaw_column(self.pose)])


def _yaw_column(regressor: FaceRegressor) -> int | None:
    head = regressor.heads.get("pose")
    return head.outputs.index("yaw") if head is not None and "yaw" in head.outputs else None


def _undecided(photo: Photo, found: Sequence[Candidate]) -> Shot:
    preview = photo.image.copy()
    preview.thumbnail((PREVIEW, PREVIEW), Image.Resampling.LANCZOS)
    boxes = [_shares(candidate.face.box, candidate.extent) for candidate in found]
    return Shot(
        photo.index + 1,
        photo.file,
        "left out",
        ("Nobody was chosen yet.",),
        photo.caption,
        preview,
        tuple(Sighting(box, 0) for box in boxes),
    )


def _unrecognised(shot: Shot) -> Shot:
    """Somebody else, or too bad to tell: what is wrong with the photo's largest face is said."""
    reasons = ("The person was not recognised in it.", *shot.reasons)
    return replace(shot, verdict="left out", reasons=reasons, picture=None, square=None)


def _choose(
    people: Sequence[list[int]], candidates: Sequence[Candidate], photos: int, person: int | None
) -> tuple[int | None, str]:
    """The number of the person, or what to ask."""
    if person is not None:
        if not 1 <= person <= len(people):
            raise InputError(
                f"There is no person {person} in these photos; there are {len(people)}.",
                "Choose a number that the contact sheet shows.",
            )
        return person, ""
    if not people:
        return None, "No face was found in any photo."
    if len(people) > 1 and len(people[0]) < 2:
        return None, "No two photos show the same face: it takes several photos of one person."
    photo = [candidate.photo for candidate in candidates]
    sizes = [area(candidate.face) for candidate in candidates]
    beside = rivals(people, photo, sizes, BYSTANDER)
    if beside:
        everybody = [0, *beside]
        counts = ", ".join(f"person {place + 1} in {len(people[place])}" for place in everybody)
        return None, f"Several people are in nearly all of the {photos} photos: {counts}. Which one is it?"
    return 1, ""


def _with_people(shot: Shot, people: Sequence[list[int]], candidates: Sequence[Candidate]) -> Shot:
    number = {index: place + 1 for place, group in enumerate(people) for index in group}
    own = [index for index, candidate in enumerate(candidates) if candidate.photo == shot.number - 1]
    seen = zip(shot.sightings, own, strict=True)
    return replace(
        shot, sightings=tuple(Sighting(sighting.box, number.get(index, 0)) for sighting, index in seen)
    )


def _somebodies(people: Sequence[list[int]], candidates: Sequence[Candidate]) -> tuple[Somebody, ...]:
    """Each person with the portrait that was taken from closest."""
    shown = []
    for number, group in enumerate(people, start=1):
        best = min((candidates[index] for index in group), key=lambda each: (each.cut_off, -area(each.face)))
        photos = tuple(candidates[index].photo + 1 for index in group)
        shown.append(Somebody(number, best.cut, photos))
    return tuple(shown)


def _without_copies(shots: Sequence[Shot], small: Tensor) -> list[Shot]:
    """Of several copies of a photo the best is kept; shots of one burst are said to be such."""
    decided = list(shots)
    used = [index for index, shot in enumerate(shots) if shot.used]
    if len(used) < 2:
        return decided
    plain, cropped = duplicates.alike(small[used], small[used])
    copies = duplicates.same(plain, cropped)
    best_first = sorted(range(len(used)), key=lambda place: _rank(shots[used[place]]))
    kept: list[int] = []
    for place in best_first:
        shot = shots[used[place]]
        same = [other for other in kept if copies[place, other]]
        burst = [other for other in kept if float(cropped[place, other]) >= duplicates.BURST]
        if same:
            why = f"The same picture as photo {shots[used[same[0]]].number}."
            decided[used[place]] = replace(shot, verdict="left out", reasons=(why,))
            continue
        if burst:
            why = f"Almost the same shot as photo {shots[used[burst[0]]].number}: it adds little."
            reasons = (*shot.reasons, why)
            decided[used[place]] = replace(shot, verdict="used with a warning", reasons=reasons)
        kept.append(place)
    return decided


def _rank(shot: Shot) -> tuple[int, float, int]:
    """The fewest complaints, then the most pixels, then the first."""
    return len(shot.reasons), shot.measures["enlargement"], shot.number


def _alike(candidates: Sequence[Candidate]) -> Tensor:
    columns = zip(*(candidate.embeddings for candidate in candidates), strict=True)
    return similarities([torch.stack(column) for column in columns])


def _same_place(face: Face, square: Frame, original: Face, size: int) -> bool:
    """Whether the face found in the cut is the one it was cut for: the middles lie within half a face."""
    expected = square.inside(original.box.reshape(2, 2), size)
    apart = face.box.reshape(2, 2).mean(0) - expected.mean(0)
    return bool((apart.abs() < (expected[1] - expected[0]) / 2).all())


def _shares(box: Tensor, extent: tuple[int, int]) -> Box:
    """A box (4,) in pixels as shares of a photo of that extent."""
    left, top, right, bottom = (box / torch.tensor([*extent, *extent])).clamp(0, 1).tolist()
    return left, top, right, bottom

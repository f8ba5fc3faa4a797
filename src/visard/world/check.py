"""Measures, on the shipped files and on people nobody was trained on, what the embedded world has to show."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from torch import Tensor

from visard.diffusion.backbone import Backbone
from visard.diffusion.sampling import generate
from visard.faces.detector import Detector, Face
from visard.faces.recognizer import Recognizer, prototype
from visard.faces.refinement import RefinedDetector
from visard.faces.regressor import FaceRegressor
from visard.faces.scrfd import Scrfd
from visard.kits import Kit
from visard.metrics.encoders import Encoder
from visard.metrics.face_success import face_success
from visard.personalization.personalize import run
from visard.personalization.settings import PersonalizationSettings
from visard.progress import Progress, silent
from visard.world.dataset import CLASSES, Pictures, load, render_split
from visard.world.recipes import describer, matcher, recognition, regressors
from visard.world.recipes import detector as detection
from visard.world.recipes.crops import pictures_at

STRANGERS = (recognition.GALLERY, 6)
"""People of the split `gallery` and pictures of each."""
SUBJECTS = (2, 24)
"""People of the split `test` who are personalised, and pictures of each; the first eight are for training."""
PHOTOS = 8
SAMPLES = 16
"""Pictures sampled for each prompt."""

RECOGNITION = {f"TMR @ FMR {recognition.FMR:g}": 0.95, "rank-1, one photo enrolled": 0.98}
AFTER_ENCODING = 0.95
DETECTION = {"recall at 1 false face per 1000 pictures": 0.99}
LANDMARK_ERROR = 0.03
FACES = 0.98
OBEYED = 0.90
RESEMBLANCE = 0.75
SECONDS = 120.0

PROMPTS: dict[str, tuple[str, str, str]] = {
    **{
        f"{color} hair": (f"a photo of a person, with {color} hair", "hair_color", color)
        for color in CLASSES["hair_color"]
    },
    "glasses": ("a photo of a person, wearing glasses", "accessories", "glasses"),
    "hat": ("a photo of a person, wearing a hat", "accessories", "hat"),
}
"""What is asked for -> the prompt, and the regressor's head and output that tell whether it was given."""


@dataclass(frozen=True)
class Finding:
    """One figure of one model; `wanted` is None where it only has to be stated."""

    model: str
    what: str
    value: float
    wanted: float | None = None
    at_least: bool = True

    @property
    def passed(self) -> bool | None:
        """Whether the figure is as good as wanted, None where nothing is; a figure that is NaN never is."""
        if self.wanted is None:
            return None
        return self.value >= self.wanted if self.at_least else self.value < self.wanted


def check(kit: Kit, data: Path, *, progress: Progress = silent) -> list[Finding]:
    """Everything the world has to show, measured with the files of `kit`; renders are kept in `data`."""
    render_split("gallery", *STRANGERS, data, progress=progress)
    render_split("test", *SUBJECTS, data, progress=progress)
    strangers, subjects = load("gallery", data), load("test", data)
    recognizers, backbone = [*kit.surrogates(), *kit.judges()], kit.backbone()
    detector, readers = kit.detector(), kit.regressors()
    parts: dict[str, Callable[[], list[Finding]]] = {
        "recognisers": lambda: check_recognition(recognizers, strangers),
        "autoencoder": lambda: check_autoencoder(backbone, recognizers, strangers),
        "detector": lambda: check_detector(detector, strangers),
        "regressors": lambda: check_regressors(readers, strangers),
        "describer": lambda: check_describer(kit.describer(), strangers, backbone),
        "picture encoder": lambda: check_encoder(kit.matcher(), strangers),
        "sampling": lambda: check_sampling(backbone, detector, readers, progress=progress),
        "personalisation": lambda: check_personalization(kit, subjects, progress=progress),
    }
    findings: list[Finding] = []
    for done, (name, measure) in enumerate(parts.items()):
        progress(f"checking: {name}", done, len(parts))
        findings += measure()
    progress("checked", len(parts), len(parts))
    return findings


def check_recognition(recognizers: Sequence[Recognizer], pictures: Pictures) -> list[Finding]:
    """Verification and identification of strangers by every recogniser."""
    return [
        Finding(recognizer.name, what, value, RECOGNITION.get(what))
        for recognizer in recognizers
        for what, value in recognition.measure(recognizer, pictures).items()
        if what in RECOGNITION
    ]


@torch.no_grad()
def check_autoencoder(
    backbone: Backbone, recognizers: Sequence[Recognizer], pictures: Pictures
) -> list[Finding]:
    """How much of each recogniser's TMR survives the autoencoder."""

    def through(whole: Tensor) -> Tensor:
        parts = torch.split(whole.to(backbone.device), 16)
        return torch.cat([backbone.reconstruct(part).cpu() for part in parts])

    indices = recognition.held_out(pictures)
    shown = pictures_at(pictures, indices)
    decoded = ((through(shown) + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1)
    rows = indices.numpy()
    after = replace(
        pictures,
        pixels=decoded.numpy(),
        person=pictures.person[rows],
        landmarks=pictures.landmarks[rows],
        boxes=pictures.boxes[rows],
    )
    what = f"TMR @ FMR {recognition.FMR:g}"
    findings = []
    for recognizer in recognizers:
        before, later = (recognition.measure(recognizer, each)[what] for each in (pictures, after))
        kept = later / before if before else float("nan")
        findings.append(Finding("autoencoder", f"{what} kept, by {recognizer.name}", kept, AFTER_ENCODING))
    return findings


def check_detector(detector: Detector, pictures: Pictures) -> list[Finding]:
    """Recall at a fixed rate of false faces, and the landmarks' error."""
    scores = detection.measure(_curious(detector), pictures)
    findings = [Finding(detector.name, what, scores.pop(what), wanted) for what, wanted in DETECTION.items()]
    error = "landmark error / eye distance"
    findings.append(Finding(detector.name, error, scores.pop(error), LANDMARK_ERROR, at_least=False))
    return findings + [Finding(detector.name, what, value) for what, value in scores.items()]


def _curious(detector: Detector) -> Detector:
    """The same detector at a threshold low enough to read every operating point."""
    if isinstance(detector, RefinedDetector):
        return RefinedDetector(_curious(detector.detector), detector.regressor)
    if not isinstance(detector, Scrfd):
        raise TypeError(f"the world's detector is an SCRFD, not {type(detector).__name__}")
    lowered = copy(detector)
    lowered.threshold = detection.LOWEST
    return lowered


def check_regressors(readers: Mapping[str, FaceRegressor], pictures: Pictures) -> list[Finding]:
    """The errors that are printed beside every use of the regressors."""
    return [
        Finding(name, what, value)
        for name, reader in readers.items()
        for what, value in regressors.measure(reader, pictures).items()
    ]


def check_describer(reader: FaceRegressor | None, pictures: Pictures, backbone: Backbone) -> list[Finding]:
    """How much of people the describer reads, and how alike it finds them."""
    if reader is None:
        return []
    scores = describer.measure(reader, pictures, backbone)
    return [Finding(reader.name, what, value) for what, value in scores.items()]


def check_encoder(encoder: Encoder | None, pictures: Pictures) -> list[Finding]:
    """What the picture encoder finds, stated."""
    if encoder is None:
        return []
    scores = matcher.measure(encoder, pictures)
    return [Finding(encoder.name, what, value) for what, value in scores.items()]


def check_sampling(
    backbone: Backbone,
    detector: Detector,
    readers: Mapping[str, FaceRegressor],
    *,
    samples: int = SAMPLES,
    steps: int = 25,
    progress: Progress = silent,
) -> list[Finding]:
    """Whether sampled pictures hold faces, and what their prompts asked for, as the regressors see it."""
    found: list[list[Face]] = []
    findings: list[Finding] = []
    for seed, (asked, (prompt, head, output)) in enumerate(PROMPTS.items()):
        pictures = generate(backbone, prompt, samples, seed=seed, steps=steps, progress=progress)
        faces = detector.detect(pictures)
        found += faces
        reader = next(reader for reader in readers.values() if head in reader.heads)
        given = _obeyed(reader, head, output, pictures, faces)
        findings.append(Finding("text-to-image", f"asked for {asked}, got it", given, OBEYED))
    success = face_success(found, f"{detector.name}, {detector.setting}")
    return [Finding("text-to-image", f"FSR ({success.detector})", success.rate, FACES), *findings]


@torch.no_grad()
def _obeyed(
    reader: FaceRegressor, head: str, output: str, pictures: Tensor, faces: Sequence[Sequence[Face]]
) -> float:
    """Share of the pictures, those without a face counting as refusals, that show `output`."""
    seen = [index for index, each in enumerate(faces) if each]
    if not seen:
        return 0.0
    landmarks = torch.stack([faces[index][0].landmarks for index in seen])
    read = reader.predict_faces(pictures[seen], landmarks)[head]
    place = reader.heads[head].outputs.index(output)
    shown = read.argmax(1) == place if reader.heads[head].kind == "categorical" else read[:, place] > 0.5
    return float(shown.sum()) / len(pictures)


def check_personalization(
    kit: Kit, pictures: Pictures, *, settings: Mapping[str, Any] | None = None, progress: Progress = silent
) -> list[Finding]:
    """DreamBooth on eight photos: ISM as a share of real-vs-real similarity, by each judge; its seconds.

    Pictures are drawn with the guidance that suits the kit's base model, as `visard generate` draws them.
    settings: changes to what the kit suggests.
    """
    chosen = PersonalizationSettings().with_preset(kit.personalization).with_preset(settings or {})
    chosen = replace(chosen, defence="none")
    shares: dict[str, list[float]] = {}
    seconds = []
    with tempfile.TemporaryDirectory() as scratch:
        for number in sorted(set(pictures.person.tolist())):
            own = torch.from_numpy(pictures.person == number).nonzero().squeeze(1)
            train, clean = own[:PHOTOS], own[PHOTOS:]
            backbone, folder = kit.backbone(), Path(scratch) / str(number)
            start = time.monotonic()
            run(
                chosen, pictures_at(pictures, train), backbone, [], kit.detector(), folder=folder,
                progress=progress, cache=Path(scratch) / "prior",
            )  # fmt: skip
            seconds.append(time.monotonic() - start)
            made = generate(
                backbone, chosen.prompts.instance, SAMPLES, seed=0, guidance=chosen.prior.guidance,
                progress=progress,
            )  # fmt: skip
            faces = kit.detector().detect(made)
            for judge in kit.judges():
                shares.setdefault(judge.name, []).append(
                    _resemblance(judge, pictures, train, clean, made, faces)
                )
    findings = [
        Finding("DreamBooth", f"ISM / real-vs-real, by {judge}", sum(found) / len(found), RESEMBLANCE)
        for judge, found in shares.items()
    ]
    # The first run also makes the class pictures, which later people share.
    return [*findings, Finding("DreamBooth", "seconds", min(seconds), SECONDS, at_least=False)]


@torch.no_grad()
def _resemblance(
    judge: Recognizer,
    pictures: Pictures,
    train: Tensor,
    clean: Tensor,
    made: Tensor,
    faces: Sequence[Sequence[Face]],
) -> float:
    """Mean cosine of generated faces to the clean photos' prototype over that of the training photos."""
    seen = [index for index, each in enumerate(faces) if each]
    if not seen:
        return 0.0
    person = prototype(recognition.embed(judge, pictures, clean))
    landmarks = torch.stack([faces[index][0].landmarks for index in seen])
    ism = (judge.embed_faces(made[seen], landmarks) @ person).mean()
    return float(ism / (recognition.embed(judge, pictures, train) @ person).mean())


COLUMNS = ("model", "measured on unseen people", "value", "wanted", "")


def table(findings: Sequence[Finding]) -> Table:
    """The findings for a terminal."""
    shown = Table(*COLUMNS)
    verdicts = {None: "", True: "[green]pass[/green]", False: "[red]FAIL[/red]"}
    for each in findings:
        shown.add_row(*_cells(each), verdicts[each.passed])
    return shown


def markdown(findings: Sequence[Finding]) -> str:
    """The findings for a page."""
    verdicts = {None: "", True: "pass", False: "**falls short**"}
    lines = [[*_cells(each), verdicts[each.passed]] for each in findings]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [COLUMNS, ["---"] * len(COLUMNS), *lines])


def _cells(finding: Finding) -> list[str]:
    limit = "" if finding.wanted is None else f"{'>=' if finding.at_least else '<'} {finding.wanted:g}"
    return [finding.model, finding.what, f"{finding.value:.4g}", limit]


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings for programs: `passed` is true when none of them failed."""
    return {
        "passed": all(each.passed is not False for each in findings),
        "findings": [{**asdict(each), "passed": each.passed} for each in findings],
    }

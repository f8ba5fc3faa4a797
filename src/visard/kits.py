"""Kits: one TOML file names the models a run uses and where they lie; each is loaded when first asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from visard.audit.inputs import Instruments, ModelId
from visard.audit.serfiq import SerFiq
from visard.errors import InputError, ModelError
from visard.faces.detector import Detector
from visard.faces.recognizer import InputSpec, Recognizer, RecognizerRow, build
from visard.faces.refinement import RefinedDetector
from visard.faces.regressor import FaceRegressor, RegressorRow
from visard.faces.scrfd import DetectorRow, Scrfd
from visard.faces.weights import load_weights
from visard.metrics.brisque import BrisqueModel
from visard.metrics.encoders import FOLDERS, Clip, Encoder, load_clip, load_encoder
from visard.metrics.lpips import Lpips
from visard.settings import from_table, read_toml
from visard.storage import sha256
from visard.zoo.folder import models_folder
from visard.zoo.rows import Licence, expanded, licence
from visard.zoo.table import RUNTIMES, entries

if TYPE_CHECKING:
    from visard.diffusion.backbone import Backbone

NAME_OF_WORLD = "world"
WORLD = Path(__file__).parent / "world" / "models" / "kit.toml"

PERCEPTUAL = "perceptual"

T = TypeVar("T")
Row = TypeVar("Row", bound="RecognizerRow | RegressorRow | DetectorRow | EncoderRow")


@dataclass(frozen=True)
class EncoderRow:
    """A kit's row of a network that sees whole pictures, not faces.

    file: its weights; of CLIP, DINO and DINOv2 ("clip", "vit", "dinov2") the folder that transformers writes,
    which says itself what the network takes and is.
    """

    name: str
    architecture: str
    file: Path
    input: InputSpec | None = None
    config: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.architecture in FOLDERS and (self.input or self.config):
            raise ValueError(f"the folder of {self.name} says itself what it takes: no input, no config")
        if self.architecture not in FOLDERS and self.input is None:
            raise ValueError(f"{self.name} needs an input, such as input = {{ size = 224 }}")


@dataclass(frozen=True)
class BrisqueRow:
    """A kit's trained BRISQUE model: the files "allmodel" and "allrange" of the LIVE release."""

    model: Path
    ranges: Path


@dataclass(frozen=True)
class PerceptualRow:
    """A kit's LPIPS: the file of torchvision's AlexNet, and LPIPS' own weights for it, version 0.1."""

    network: Path
    weights: Path


@dataclass(frozen=True)
class KitFile:
    """What a kit's TOML file says; paths in it are relative to it.

    licence: that of its own models; a row may say otherwise, and one that says `zoo = "irse50"` need not
    repeat what `visard models list` knows.
    backbone: a model folder beside the file, a hub id or an alias. gallery: photos of strangers, a folder
    for each. features: the network behind FID and KID. matcher: the one behind picture similarity;
    captions: CLIP, for prompt agreement; perceptual: LPIPS, for diversity. describer: says how a face differs
    from the average person, in standard deviations over people, for appearance.
    landmarks: the regressor that refines the detector's. brisque: a trained model of naturalness.
    personalization, protection: settings that suit the kit; a run's own come on top.
    sha256: file -> digest it must have.
    """

    name: str
    licence: str = ""
    backbone: str = ""
    detector: DetectorRow | None = None
    landmarks: RegressorRow | None = None
    recognizers: tuple[RecognizerRow, ...] = ()
    regressors: tuple[RegressorRow, ...] = ()
    describer: RegressorRow | None = None
    gallery: str = ""
    features: EncoderRow | None = None
    matcher: EncoderRow | None = None
    captions: EncoderRow | None = None
    perceptual: PerceptualRow | None = None
    brisque: BrisqueRow | None = None
    personalization: dict[str, Any] = field(default_factory=dict)
    protection: dict[str, Any] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)


class Kit:
    """The models of one kit file, each loaded when first asked for. Raises ModelError when one cannot be."""

    def __init__(self, file: Path, contents: KitFile, device: str = "cpu") -> None:
        self.file = file
        self.contents = contents
        self.device = device
        self._loaded: dict[str, Any] = {}
        self._check_names()
        self._check_roles()

    @property
    def name(self) -> str:
        return self.contents.name

    @property
    def personalization(self) -> Mapping[str, Any]:
        """Personalisation settings that suit these models."""
        return self.contents.personalization

    @property
    def protection(self) -> Mapping[str, Any]:
        """Protection settings that suit these models."""
        return self.contents.protection

    @property
    def gallery(self) -> Path | None:
        """Photos of strangers, a folder each, if the kit has some."""
        return self.file.parent / self.contents.gallery if self.contents.gallery else None

    def backbone(self, source: str | Path | None = None) -> Backbone:
        """A fresh copy of the kit's base model, or of another, as personalisation changes it in place."""
        from visard.diffusion.backbone import Backbone

        chosen = source or self.base_model
        if not str(chosen):
            raise ModelError(f"The kit {self.name} names no base model.", "Say which with --base.")
        return Backbone.load(chosen, device=self.device)

    @property
    def base_model(self) -> str | Path:
        """What the kit calls its base model, by its place where it lies beside; "" without one."""
        name = self.contents.backbone
        beside = self.file.parent / name
        return beside if name and beside.is_dir() else name

    def detector(self) -> Detector:
        """The face detector, its landmarks refined if the kit has a regressor for them."""
        row = self.contents.detector
        if row is None:
            raise ModelError(f"The kit {self.name} names no detector.", f"Add a [detector] to {self.file}.")
        detector = self._load(row, Scrfd.load)
        refinement = self.contents.landmarks
        if refinement is None:
            return detector
        regressor = self._load(refinement, FaceRegressor.load).to(self.device)
        return RefinedDetector(detector, regressor, self.digest(refinement.file))

    def surrogates(self) -> list[Recognizer]:
        """The recognisers that personalisation may see."""
        return [self._recognizer(row) for row in self._rows("surrogate")]

    def judges(self) -> list[Recognizer]:
        """The recognisers that only audits see."""
        return [self._recognizer(row) for row in self._rows("judge")]

    def regressors(self) -> dict[str, FaceRegressor]:
        """Attribute, pose, gaze and expression models, by name."""
        rows = self.contents.regressors
        return {row.name: self._load(row, FaceRegressor.load).to(self.device) for row in rows}

    def describer(self) -> FaceRegressor | None:
        """What says how a face differs from the average person's, if the kit has it."""
        row = self.contents.describer
        if row is not None and any(head.kind != "continuous" for head in row.heads):
            raise ModelError(
                f"The describer {row.name} has heads that are not continuous.",
                "It says how far a face lies from the average; attributes go into [[regressors]].",
            )
        return None if row is None else self._load(row, FaceRegressor.load).to(self.device)

    def features(self) -> Encoder | None:
        """The network behind FID and KID, if the kit has one."""
        return self._encoder(self.contents.features)

    def matcher(self) -> Encoder | None:
        """A network that matches whole pictures, not faces, if the kit has one."""
        return self._encoder(self.contents.matcher)

    def captions(self) -> Clip | None:
        """What sees pictures and words alike, if the kit has it."""
        row = self.contents.captions
        return None if row is None else self._load(row, _load_captions).to(self.device)

    def perceptual(self) -> Lpips | None:
        """What tells how different two pictures look, if the kit has it."""
        row = self.contents.perceptual
        if row is None:
            return None
        if PERCEPTUAL not in self._loaded:
            for file in (row.network, row.weights):
                self.digest(file)
            loaded = Lpips.load(self.file.parent / row.network, self.file.parent / row.weights)
            self._loaded[PERCEPTUAL] = loaded.to(self.device)
        return cast(Lpips, self._loaded[PERCEPTUAL])

    def brisque(self) -> BrisqueModel | None:
        """What scores naturalness as published, if the kit has it."""
        row = self.contents.brisque
        if row is None:
            return None
        for file in (row.model, row.ranges):
            self.digest(file)
        return BrisqueModel.load(self.file.parent / row.model, self.file.parent / row.ranges)

    def instruments(self) -> Instruments:
        """What an audit looks through."""
        features, judges = self.features(), self.judges()
        return Instruments(
            detector=self.detector(),
            judges=judges,
            regressors=list(self.regressors().values()),
            describer=self.describer(),
            features=features,
            features_name=features.name if features is not None else "",
            matcher=self.matcher(),
            captions=self.captions(),
            perceptual=self.perceptual(),
            quality=SerFiq.by_one_of(judges),
            brisque=self.brisque(),
            hashes={row.name: self.digest(row.file) for row in self._rows("judge")},
        )

    def surrogate_ids(self) -> list[ModelId]:
        """Name, family and hash of each surrogate, for records and reports."""
        return [ModelId(row.name, row.family, self.digest(row.file)) for row in self._rows("surrogate")]

    def digested_recognizers(self) -> list[tuple[Recognizer, str]]:
        """Every recogniser with the digest of its file."""
        return [(self._recognizer(row), self.digest(row.file)) for row in self.contents.recognizers]

    def digest(self, file: Path) -> str:
        """The SHA-256 of one of the kit's files, or over those of a model folder.

        Raises ModelError when it is missing or another one.
        """
        path = self.file.parent / file
        names = _model_files(path)
        if not names and not path.is_file():
            published = path.is_relative_to(models_folder())
            raise ModelError(
                f"The kit {self.name} lacks {path}.",
                f"Get its file, then: visard models add FILE --as {path.parent.name}"
                if published
                else f"Copy the file there, or correct {self.file}.",
            )
        digest = _combined([self.digest(file / name) for name in names]) if names else sha256(path)
        if self.contents.sha256.get(file.as_posix(), digest) != digest:
            raise ModelError(
                f"{path} is not the file the kit {self.name} was made with.",
                f"Get the right file, or correct its sha256 in {self.file}.",
            )
        return digest

    @property
    def embedded(self) -> bool:
        """Whether this is the embedded world's kit."""
        return self.file == WORLD

    def licences(self) -> list[Licence]:
        """What the makers of each of its models allow."""
        from visard.personalization.record import public_name

        kit = self.contents
        found = []
        if kit.backbone:
            beside = (self.file.parent / kit.backbone).is_dir()
            known = kit.backbone if not beside and kit.backbone in entries() else ""
            own = kit.licence if beside else ""
            name = Path(kit.backbone).name if beside else public_name(kit.backbone)
            found.append(licence(name, "base model", zoo=known, own=own))
        if (row := kit.detector) is not None:
            found.append(licence(row.name, "detector", zoo=row.zoo, own=row.licence or kit.licence))
        for each in kit.recognizers:
            found.append(licence(each.name, each.role, zoo=each.zoo, own=each.licence or kit.licence))
        for other in (*kit.regressors, kit.describer, kit.landmarks, kit.features, kit.matcher, kit.captions):
            if other is not None:
                found.append(licence(other.name, "instrument", own=kit.licence))
        if kit.perceptual is not None:
            found.append(licence(Lpips.name, "instrument", own=kit.licence))
        return list(dict.fromkeys(found))  # one network may be two instruments

    def _rows(self, role: str) -> list[RecognizerRow]:
        return [row for row in self.contents.recognizers if row.role == role]

    def _check_names(self) -> None:
        names = [row.name for row in self.contents.recognizers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ModelError(
                f"The kit {self.name} names {', '.join(twice)} more than once.",
                "Give every recogniser a name of its own; none can be both surrogate and judge.",
            )

    def _check_roles(self) -> None:
        """A judge that took part in training would only repeat what it was taught to say."""
        for surrogate in self._rows("surrogate"):
            if surrogate.architecture in RUNTIMES:
                raise ModelError(
                    f"The surrogate {surrogate.name} has no gradient: {surrogate.architecture} runs it.",
                    "Let it be a judge, or choose a model that torch runs.",
                )
        for surrogate, judge in product(self._rows("surrogate"), self._rows("judge")):
            if _same_file(self.file.parent / surrogate.file, self.file.parent / judge.file):
                raise ModelError(
                    f"The surrogate {surrogate.name} and the judge {judge.name} are the same model.",
                    "A judge must not have taken part in training: choose another file for one of them.",
                )

    def _recognizer(self, row: RecognizerRow) -> Recognizer:
        return self._load(row, Recognizer.load).to(self.device)

    def _encoder(self, row: EncoderRow | None) -> Encoder | None:
        return None if row is None else self._load(row, _load_encoder).to(self.device)

    def _load(self, row: Row, load: Callable[[Row], T]) -> T:
        key = f"{load.__qualname__} {row.name} {row.file}"
        if key not in self._loaded:
            self.digest(row.file)
            self._loaded[key] = load(replace(row, file=self.file.parent / row.file))
        return cast(T, self._loaded[key])


def open_kit(name: str | Path = "world", device: str = "cpu") -> Kit:
    """The embedded world's kit ("world"), or the kit of a TOML file. Raises InputError, ModelError."""
    file = WORLD if str(name) == NAME_OF_WORLD else Path(name)
    if not file.is_file():
        raise InputError(f"There is no kit {name}.", 'Give the path of a kit file, or "world".')
    return Kit(file, from_table(KitFile, expanded(read_toml(file))), device)


def placed(name: str) -> str:
    """A kit's name so that it is found from any folder."""
    return name if name == NAME_OF_WORLD else str(Path(name).resolve())


def _load_encoder(row: EncoderRow) -> Encoder:
    if row.input is None:
        return load_encoder(row.file, row.architecture, row.name)
    network = build(row.architecture, row.config)
    load_weights(network, row.file)
    return Encoder(network, row.name, row.input)


def _load_captions(row: EncoderRow) -> Clip:
    if row.architecture != "clip":
        raise ModelError(
            f"The captions of {row.name} cannot be read by {row.architecture}.",
            'Give a folder of CLIP, and architecture = "clip".',
        )
    return load_clip(row.file, row.name)


def _model_files(folder: Path) -> list[str]:
    """What a model folder is loaded from, not its card and licence; nothing of a file."""
    kinds = {".json", ".txt", ".safetensors"}
    return sorted(file.name for file in folder.glob("*") if file.is_file() and file.suffix in kinds)


def _combined(digests: Sequence[str]) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _same_file(first: Path, second: Path) -> bool:
    if first.resolve() == second.resolve():
        return True
    if not (first.is_file() and second.is_file()) or first.stat().st_size != second.stat().st_size:
        return False
    return sha256(first) == sha256(second)

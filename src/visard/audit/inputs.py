"""What an audit is given: people and their pictures, strangers, and the instruments that look at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from torch import Generator, Tensor, nn

from visard.metrics.brisque import BrisqueModel


class SeenFace(Protocol):
    """What an audit needs to know of a detected face."""

    @property
    def landmarks(self) -> Tensor: ...


class FaceFinder(Protocol):
    """A face detector; its name and setting are printed wherever its figures are."""

    name: str

    @property
    def setting(self) -> str: ...

    def detect(self, images: Tensor) -> Sequence[Sequence[SeenFace]]: ...


class Judge(Protocol):
    """A face recogniser that took no part in any training."""

    name: str
    family: str

    def embed_faces(self, images: Tensor, landmarks: Tensor) -> Tensor: ...


class AttributeHead(Protocol):
    """A head of a regressor and what its numbers are."""

    @property
    def kind(self) -> Literal["categorical", "binary", "continuous"]: ...
    @property
    def outputs(self) -> tuple[str, ...]: ...


class AttributeModel(Protocol):
    """Predicts what a person would say of a face.

    (B, outputs): probabilities for categorical and binary heads, numbers in their unit for continuous ones.
    """

    name: str

    @property
    def heads(self) -> Mapping[str, AttributeHead]: ...
    def predict_faces(self, images: Tensor, landmarks: Tensor) -> Mapping[str, Tensor]: ...


class PictureEncoder(Protocol):
    """Sees whole pictures (B, 3, H, W) in [-1, 1], not faces: features (B, D)."""

    name: str

    def __call__(self, pictures: Tensor) -> Tensor: ...


class CaptionEncoder(Protocol):
    """Pictures and words in one space: features (B, D) of either."""

    name: str

    def pictures(self, pictures: Tensor) -> Tensor: ...
    def words(self, prompts: Sequence[str]) -> Tensor: ...


class PerceptualDistance(Protocol):
    """How different two pictures look, as LPIPS: twice (B, 3, H, W) -> (B,), 0 = the same."""

    name: str

    def __call__(self, first: Tensor, second: Tensor) -> Tensor: ...


class FaceScorer(Protocol):
    """How good a face picture is for recognition, as SER-FIQ: pictures, landmarks -> (B,) in [0, 1]."""

    name: str

    def score_faces(self, images: Tensor, landmarks: Tensor, generator: Generator) -> Tensor: ...


@dataclass(frozen=True)
class ModelId:
    """A model as `run.toml` and a kit name it; `sha256` of its file, empty if unknown."""

    name: str
    family: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Instruments:
    """The models of a kit that an audit looks through.

    features: pictures (B, 3, H, W) in [-1, 1] -> (B, D), for FID and KID, and for diversity where there is no
    `perceptual` distance; describer: how a face differs from the average, for appearance; matcher: for
    picture similarity (CLIP-I, DINO) and copies; captions: for CLIP-T;
    quality: for SER-FIQ; hashes: judge's name -> sha256 of its file. The report says which are absent.
    """

    detector: FaceFinder
    judges: Sequence[Judge]
    regressors: Sequence[AttributeModel] = ()
    describer: AttributeModel | None = None
    features: nn.Module | None = None
    features_name: str = ""
    brisque: BrisqueModel | None = None
    matcher: PictureEncoder | None = None
    captions: CaptionEncoder | None = None
    perceptual: PerceptualDistance | None = None
    quality: FaceScorer | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)

    def absent(self) -> dict[str, str]:
        """What is not measured for want of an instrument: figure -> what it would take."""
        needs = {
            "attribute agreement": (bool(self.regressors), "an attribute model"),
            "appearance": (self.describer is not None, "a describer"),
            "FID, KID": (self.features is not None, "a feature network"),
            "BRISQUE": (self.brisque is not None, "a trained BRISQUE model"),
            "SER-FIQ": (self.quality is not None, "a recogniser with dropout"),
            "picture similarity (CLIP-I, DINO), copy-paste": (self.matcher is not None, "a matcher"),
            "prompt agreement (CLIP-T)": (self.captions is not None, "an encoder of pictures and text"),
            "diversity by LPIPS": (self.perceptual is not None, "a perceptual distance"),
        }
        return {figure: missing for figure, (given, missing) in needs.items() if not given}


@dataclass(frozen=True)
class Person:
    """One audited person.

    photos (R, 3, H, W): clean photos that no training has seen; pictures: "arm/prompt" -> (P, 3, H, W)
    generated; training_photos: what the model was trained on, only to make sure that the attacker does not
    hold it.
    """

    photos: Tensor
    pictures: Mapping[str, Tensor]
    training_photos: Tensor | None = None


@dataclass(frozen=True)
class Strangers:
    """The gallery: real photos (M, 3, H, W) of other people and whose they are, M labels."""

    photos: Tensor
    labels: Sequence[int | str]


@dataclass(frozen=True)
class AuditSettings:
    """How the audit measures. Rates are shares in (0, 1)."""

    fpir: float = 0.01
    """False-positive rate of a search: how often a face that is not in the gallery may name somebody."""
    search_rates: tuple[float, ...] = (0.01, 0.003)
    """False-positive rates of the searches in which half of the strangers are not enrolled.

    Where these are too few for a rate, it is the finest that they can show.
    """
    false_match_rates: tuple[float, ...] = (1e-2, 1e-3, 1e-4)
    ranks: tuple[int, ...] = (1, 5, 20)
    pictures_out: tuple[int, ...] = (1, 4, 16)
    """For how many published pictures the share of people linked at least once is reported."""
    undefended: str = "none"
    """The arm the others are compared with."""
    attributes_only: str = "attributes"
    """The arm without any training: the base model prompted with hair, age, glasses."""
    chance: str = "strangers"
    """The arm of other people's models, audited as if it showed the person: linked by chance alone."""
    trigger: str = "sks"
    """The word that stands for the person in prompts; left out where a prompt is compared with pictures."""
    tolerances: Mapping[str, float] = field(
        default_factory=lambda: {"age": 10.0, "skin_tone": 0.15, "presentation": 0.5}
    )
    """Continuous attributes that say what a person looks like, and how far off still agrees, in their unit.

    Others (pose, gaze, expression) vary on purpose and are not compared.
    """
    draws: int = 1000
    null_draws: int = 200
    seed: int = 0
    batch: int = 16
    minimum_faces: int = 30
    expected_real: float = 0.9
    """Share of real photos a judge must link before its opinion of generated ones counts."""
    expected_own: float = 0.5
    """Share of the reference photos that a judge must link to the others of their person."""
    expected_undefended: float = 0.5
    """Share of undefended pictures that must be linked before a defence can be seen to do anything."""


def split_key(key: str) -> tuple[str, str]:
    """ "arm/prompt" -> (arm, prompt); a key without a slash is an arm without a prompt."""
    arm, _, prompt = key.partition("/")
    return arm, prompt

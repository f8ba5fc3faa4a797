"""What an audit is given: people and their pictures, strangers, and the instruments that look at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from torch import Tensor, nn

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

    Probabilities (B, outputs) for categorical and binary heads.
    """

    name: str

    @property
    def heads(self) -> Mapping[str, AttributeHead]: ...
    def predict_faces(self, images: Tensor, landmarks: Tensor) -> Mapping[str, Tensor]: ...


@dataclass(frozen=True)
class ModelId:
    """A model as `run.toml` and a kit name it; `sha256` of its file, empty if unknown."""

    name: str
    family: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Instruments:
    """The models of a kit that an audit looks through.

    features: pictures (B, 3, H, W) in [-1, 1] -> (B, D), for FID and KID; hashes: judge's name -> sha256 of
    its file.
    """

    detector: FaceFinder
    judges: Sequence[Judge]
    regressors: Sequence[AttributeModel] = ()
    features: nn.Module | None = None
    features_name: str = ""
    brisque: BrisqueModel | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)


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
    false_match_rates: tuple[float, ...] = (1e-2, 1e-3, 1e-4)
    ranks: tuple[int, ...] = (1, 5, 20)
    pictures_out: tuple[int, ...] = (1, 4, 16)
    """For how many published pictures the share of people linked at least once is reported."""
    undefended: str = "none"
    """The arm the others are compared with."""
    attributes_only: str = "attributes"
    """The arm without any training: the base model prompted with hair, age, glasses."""
    draws: int = 1000
    null_draws: int = 200
    seed: int = 0
    batch: int = 16
    minimum_faces: int = 30
    expected_real: float = 0.9
    """Share of real photos a judge must link before its opinion of generated ones counts."""
    expected_undefended: float = 0.5
    """Share of undefended pictures that must be linked before a defence can be seen to do anything."""


def split_key(key: str) -> tuple[str, str]:
    """ "arm/prompt" -> (arm, prompt); a key without a slash is an arm without a prompt."""
    arm, _, prompt = key.partition("/")
    return arm, prompt

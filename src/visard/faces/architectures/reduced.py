"""The embedded world's reduced members: name -> architecture, configuration, input size, family, loss."""

from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

from visard.faces.architectures import ARCHITECTURES

DIMENSION = 256


@dataclass(frozen=True)
class Reduced:
    """One model of the embedded world; `config` goes to `ARCHITECTURES[architecture]`."""

    architecture: str
    input_size: int
    role: Literal["surrogate", "judge", "detector", "regressor"]
    family: str
    config: dict[str, Any] = field(default_factory=dict)

    def build(self, **overrides: Any) -> nn.Module:
        """A fresh network; `overrides` extend the configuration (a regressor's `heads`)."""
        return ARCHITECTURES[self.architecture](**self.config, **overrides)


def _recognizer(
    role: Literal["surrogate", "judge"], architecture: str, family: str, input_size: int, **config: Any
) -> Reduced:
    config = {"input_size": input_size, "embedding_dim": DIMENSION, **config}
    return Reduced(architecture, input_size, role, family, config)


REDUCED: dict[str, Reduced] = {
    "irse": _recognizer(
        "surrogate", "ir_se", "IR-SE", 64,
        stem_width=16, stem_stride=2, widths=(32, 64, 128), units=(2, 2, 2), reduction=8, dropout=0.2,
    ),
    "ir": _recognizer(
        "surrogate", "ir", "IR", 64,
        stem_width=12, stem_stride=2, widths=(24, 48, 96), units=(3, 5, 3), dropout=0.2,
    ),
    "mobileface": _recognizer(
        "surrogate", "mobilefacenet", "MobileFaceNet", 64,
        widths=(16, 32, 64, 128), units=(2, 3, 2), expansions=(32, 128, 384), head_width=512,
    ),
    "facenet": _recognizer(
        "surrogate", "inception_resnet", "Inception-ResNet", 80, width=0.32, units=(3, 3, 2), dropout=0.2,
    ),
    "arcface": _recognizer(
        "judge", "iresnet", "ArcFace iResNet", 64,
        stem_width=16, stem_stride=2, widths=(32, 64, 128), units=(1, 2, 3), dropout=0.1,
    ),
    "adaface": _recognizer(
        "judge", "adaface", "AdaFace IR", 64,
        stem_width=16, stem_stride=2, widths=(40, 80, 120), units=(2, 3, 2), dropout=0.1,
    ),
    "magface": _recognizer(
        "judge", "iresnet", "MagFace iResNet", 64,
        stem_width=16, stem_stride=2, widths=(24, 48, 80, 160), units=(2, 3, 4, 2), dropout=0.1,
    ),
    "elasticface": _recognizer(
        "judge", "edgenext", "EdgeNeXt", 64,
        stem_stride=4, widths=(40, 80, 128), units=(2, 3, 3), kernels=(3, 5, 7), scales=(2, 2, 3),
        layer_scale=0.1,
    ),
    "detector": Reduced("scrfd_micro", 128, "detector", "SCRFD"),
    "regressor": Reduced("regressor", 64, "regressor", "convolutional regressor"),
}  # fmt: skip

"""Every network architecture the project can load, by name: `ARCHITECTURES[name](**config) -> nn.Module`."""

from collections.abc import Callable

from torch import nn

from visard.faces.architectures import (
    adaface,
    edgenext,
    inception_resnet,
    ir,
    iresnet,
    mobilefacenet,
    regressor,
    scrfd,
)

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "ir": ir.build_ir,
    "ir_se": ir.build_ir_se,
    "mobilefacenet": mobilefacenet.build,
    "inception_resnet": inception_resnet.build,
    "iresnet": iresnet.build,
    "adaface": adaface.build,
    "edgenext": edgenext.build,
    "scrfd_micro": scrfd.build,
    "regressor": regressor.build,
}

__all__ = ["ARCHITECTURES"]

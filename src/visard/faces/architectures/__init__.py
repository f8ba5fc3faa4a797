"""Every network architecture the project can load, by name: `ARCHITECTURES[name](**config) -> nn.Module`."""

from collections.abc import Callable
from functools import partial

from torch import nn

from visard.faces.architectures.adaface import AdaFaceIR
from visard.faces.architectures.edgenext import EdgeNeXt
from visard.faces.architectures.inception_resnet import InceptionResnetV1
from visard.faces.architectures.ir import IR, IRSE50_UNITS
from visard.faces.architectures.iresnet import IResNet
from visard.faces.architectures.mobilefacenet import MobileFaceNet
from visard.faces.architectures.mobilefacenet_layers import LayeredMobileFaceNet
from visard.faces.architectures.regressor import Regressor
from visard.faces.architectures.retinaface import RetinaFace
from visard.faces.architectures.scrfd import ScrfdMicro

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "ir": IR,
    "ir_se": partial(IR, units=IRSE50_UNITS, reduction=16),
    "mobilefacenet": MobileFaceNet,
    "mobilefacenet_layers": LayeredMobileFaceNet,
    "inception_resnet": InceptionResnetV1,
    "iresnet": IResNet,
    "adaface": AdaFaceIR,
    "edgenext": EdgeNeXt,
    "scrfd_micro": ScrfdMicro,
    "retinaface": RetinaFace,
    "regressor": Regressor,
}

__all__ = ["ARCHITECTURES"]

"""PReLU at training speed: on a processor PyTorch's own takes a third of a small recogniser's step."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class QuickPReLU(nn.PReLU):
    """The same function and parameter as `nn.PReLU`, written so that both passes are vectorised."""

    def forward(self, input: Tensor) -> Tensor:
        slope = self.weight.to(input.dtype).view(1, -1, *[1] * (input.ndim - 2))
        return F.relu(input) - slope * F.relu(-input)


def quicken(net: nn.Module) -> nn.Module:
    """Have every PReLU of `net` take the quick path; parameters and key names stay as they are."""
    for module in net.modules():
        if type(module) is nn.PReLU:
            module.__class__ = QuickPReLU
    return net

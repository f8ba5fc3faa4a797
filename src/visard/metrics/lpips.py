"""LPIPS: how different do two pictures look to a person?

Zhang, Isola, Efros, Shechtman & Wang, "The unreasonable effectiveness of deep features as a perceptual
metric" (CVPR 2018, arXiv 1801.03924), version 0.1 on AlexNet: a distance of the features of five layers,
weighted as people's judgements have taught it. The two files are the user's, as published.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from visard.errors import ModelError
from visard.faces.weights import load_weights

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Per channel: ImageNet's mean and deviation for pictures in [-1, 1]."""
CHANNELS = (64, 192, 384, 256, 256)
"""Of the five layers, the outputs of AlexNet's ReLUs."""
CUTS = (2, 5, 8, 10, 12)
"""Where each layer ends in torchvision's numbering, which counts convolutions, ReLUs and poolings."""
EPSILON = 1e-10
NETWORK_ADVICE = "Give torchvision's AlexNet (features.0.weight, ...), which LPIPS was trained on."
WEIGHTS_ADVICE = "Give LPIPS' own weights for AlexNet, version 0.1 (lin0.model.1.weight, ...)."


def alexnet() -> nn.Sequential:
    """The convolutions of AlexNet (Krizhevsky 2014) without weights, numbered as torchvision's."""
    first, second, third, fourth, fifth = CHANNELS
    return nn.Sequential(
        nn.Conv2d(3, first, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(first, second, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(second, third, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(third, fourth, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(fourth, fifth, 3, padding=1),
        nn.ReLU(),
    )


class Lpips(nn.Module):
    """Pictures twice (B, 3, H, W) in [-1, 1], sides of at least 31 px -> (B,) >= 0, 0 = the same.

    network: as `alexnet()`; weights: w_l >= 0 of the five layers, one number a channel. Both are frozen.
    """

    name = "LPIPS (AlexNet, v0.1)"
    shift: Tensor
    scale: Tensor

    def __init__(self, network: nn.Sequential, weights: tuple[Tensor, ...]) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.register_buffer("shift", torch.tensor(SHIFT).view(3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE).view(3, 1, 1), persistent=False)
        for layer, each in enumerate(weights):
            self.register_buffer(f"weight_{layer}", each.detach().view(-1, 1, 1))
        self.eval()

    @classmethod
    def load(cls, network: Path, weights: Path) -> Lpips:
        """From torchvision's AlexNet and LPIPS' own file: safetensors, or torch files of tensors alone.

        Raises ModelError: no such file, damaged, other keys or shapes, weights below 0.
        """
        features = alexnet()
        load_weights(features, network, prefix="features.", advice=NETWORK_ADVICE)
        layers = _published_layers()
        load_weights(layers, weights, advice=WEIGHTS_ADVICE)
        found = layers.state_dict()
        for name, each in found.items():
            if bool((each < 0).any()):  # the paper's are projected to >= 0: nothing may reward a difference
                raise ModelError(f"{weights}: {name} holds numbers below 0.", WEIGHTS_ADVICE)
        return cls(features, tuple(found.values()))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        # Eq. 1: d(x, x0) = sum_l 1 / (H_l W_l) sum_hw || w_l (y_hw - y0_hw) ||^2; the released weights take
        # the place of w_l^2.
        distances = [
            (self.get_buffer(f"weight_{layer}") * (one - two).square()).sum(1).mean((1, 2))
            for layer, (one, two) in enumerate(zip(self._layers(first), self._layers(second), strict=True))
        ]
        return torch.stack(distances).sum(0)

    def _layers(self, pictures: Tensor) -> list[Tensor]:
        """Outputs of the five layers, each place's channels of length 1."""
        values, found, start = (pictures.to(self.shift.device) - self.shift) / self.scale, [], 0
        for end in CUTS:
            values = self.network[start:end](values)
            found.append(values / (values.norm(dim=1, keepdim=True) + EPSILON))
            start = end
        return found


def _published_layers() -> nn.ModuleDict:
    """The five 1x1 convolutions under their published names, lin0.model.1.weight to lin4.model.1.weight."""
    return nn.ModuleDict(
        {
            f"lin{layer}": nn.ModuleDict(
                {"model": nn.Sequential(nn.Identity(), nn.Conv2d(channels, 1, 1, bias=False))}
            )
            for layer, channels in enumerate(CHANNELS)
        }
    )

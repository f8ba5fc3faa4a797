"""What lies on the GPU while a run is at what: networks that the next step does not use wait on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum

import torch
from torch import nn


class Phase(Enum):
    """What a run is about to do. The UNet takes part in nearly all of it and never moves."""

    WORDS = "embedding text"
    PICTURES = "encoding pictures"
    FINE_TUNING = "fine-tuning"
    DECOUPLING = "perturbing photos"
    SAMPLING = "sampling pictures"


Enter = Callable[[Phase], None]


def stay(phase: Phase) -> None:
    """Nothing moves."""


class Offload:
    """Called with the next phase: sends away what it does not need, then brings what it does.

    `needs`: the networks of each phase, all of them on `device` at first.
    """

    def __init__(self, needs: Mapping[Phase, Iterable[nn.Module]], device: torch.device) -> None:
        self.needs = {phase: list(networks) for phase, networks in needs.items()}
        self.device = device
        everything = {id(each): each for networks in self.needs.values() for each in networks}
        self.networks = list(everything.values())
        self._away: set[int] = set()

    def __call__(self, phase: Phase) -> None:
        wanted = {id(each) for each in self.needs[phase]}
        for network in self.networks:  # room first
            if id(network) not in wanted | self._away:
                move(network, torch.device("cpu"))
                self._away.add(id(network))
        for network in self.networks:
            if id(network) in wanted & self._away:
                move(network, self.device)
                self._away.discard(id(network))

    def close(self) -> None:
        """Bring everything back."""
        for network in self.networks:
            if id(network) in self._away:
                move(network, self.device)
        self._away.clear()


def move(network: nn.Module, device: torch.device) -> None:
    """Move the weights of `network`; its parameters stay the same objects, as an optimiser needs them."""
    nn.Module.to(network, device)

"""Named random streams: no part of a run consumes another part's randomness."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def derived_seed(seed: int, name: str) -> int:
    """A seed for `name` in [0, 2^63), independent of the seeds of other names."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class Streams:
    """Generators by name, derived from one seed; on the CPU, so that every device draws the same numbers."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._generators: dict[str, torch.Generator] = {}

    def __getitem__(self, name: str) -> torch.Generator:
        if name not in self._generators:
            self._generators[name] = torch.Generator().manual_seed(derived_seed(self.seed, name))
        return self._generators[name]

    def state(self) -> dict[str, Tensor]:
        """Every generator's state by name."""
        return {name: generator.get_state() for name, generator in self._generators.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        for name, value in state.items():
            self[name].set_state(value)


class DataOrder:
    """Endless passes over `size` items, each pass a fresh permutation from its own generator."""

    def __init__(self, size: int, generator: torch.Generator) -> None:
        self.size, self.generator = size, generator
        self.queue: list[int] = []

    def take(self, count: int) -> list[int]:
        """The next `count` indices; a pass that ends is followed by the next one."""
        while len(self.queue) < count:
            self.queue += torch.randperm(self.size, generator=self.generator).tolist()
        taken, self.queue = self.queue[:count], self.queue[count:]
        return taken

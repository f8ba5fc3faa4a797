"""A detector and recognisers small enough for every test, with counters of what they were asked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from visard.faces.alignment import TEMPLATE_112
from visard.faces.detector import Face
from visard.faces.recognizer import InputSpec, Recognizer

SIZE = 32
LANDMARKS = TEMPLATE_112 * (24 / 112) + 4
BOX = torch.tensor([6.0, 6.0, 26.0, 26.0])


def face(box: Tensor = BOX, landmarks: Tensor = LANDMARKS) -> Face:
    return Face(box=box, score=0.9, landmarks=landmarks)


class FakeDetector:
    """Finds one face at a fixed place in every picture, or what `script` says for each call in turn."""

    name = "fake"
    setting = "fixed"
    weights = ""

    def __init__(self, script: Sequence[list[list[Face]]] = ()) -> None:
        self.script = list(script)
        self.calls = 0

    def detect(self, images: Tensor) -> list[list[Face]]:
        assert not images.requires_grad
        self.calls += 1
        return self.script.pop(0) if self.script else [[face()] for _ in images]


class CountingRecognizer(Recognizer):
    """A recogniser that knows how often it was called."""

    calls = 0

    def features(self, crops: Tensor) -> Tensor:
        self.calls += 1
        return super().features(crops)


def recognizer(seed: int = 0, size: int = 8) -> CountingRecognizer:
    """A smooth random embedding of `size` px crops into 6 dimensions."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, 16), nn.Tanh(), nn.Linear(16, 6))
    return CountingRecognizer(network, name=f"fake{seed}", family="fake", spec=InputSpec(size))


def photos(count: int = 4, seed: int = 0) -> Tensor:
    """Smooth pictures (count, 3, 32, 32) in [-1, 1] that touch both ends of the range."""
    small = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) * 2.4 - 1.2
    return nn.functional.interpolate(small, SIZE, mode="bilinear").clamp(-1, 1)

"""SER-FIQ (Terhörst et al. 2020): a picture is good when a recogniser that forgets at random still agrees."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from visard.errors import ModelError
from visard.faces.recognizer import Recognizer


@runtime_checkable
class Forgetful(Protocol):
    """A network with dropout before its last linear layer: readout(dropout(trunk(x)))."""

    @property
    def dropout_rate(self) -> float: ...
    def trunk(self, x: Tensor) -> Tensor: ...
    def readout(self, x: Tensor) -> Tensor: ...


@torch.no_grad()
def agreement(recognizer: Recognizer, crops: Tensor, generator: torch.Generator, passes: int = 100) -> Tensor:
    """s = 2 / (1 + exp(d)) in (0, 1], (B,): d is the mean distance between embeddings under dropout.

    Of aligned crops (B, 3, S, S) in [-1, 1]. Comparable under one recogniser alone; the authors' later scale,
    1 / (1 + exp(-130 (s - 0.88))), is of one backbone. The network runs once, dropout and what follows it
    `passes` times. Raises ModelError, ValueError.
    """
    network = recognizer.network
    if not isinstance(network, Forgetful) or network.dropout_rate == 0:
        raise ModelError(
            f"{recognizer.name} has no dropout before its last linear layer, which SER-FIQ needs.",
            "Use a recogniser that was trained with dropout, such as irse50, ir152, facenet or AdaFace's.",
        )
    if passes < 2:
        raise ValueError("agreement needs at least two passes")
    keep = 1 - network.dropout_rate
    with torch.autocast(recognizer.device.type, enabled=False):
        features = network.trunk(recognizer.spec.prepare(crops.to(recognizer.device, torch.float32)))
        scores = []
        for each in features:
            chance = torch.rand((passes, *each.shape), generator=generator, device=generator.device)
            embeddings = F.normalize(network.readout(each * (chance.to(each) < keep) / keep), dim=1)
            scores.append(2 * torch.sigmoid(-F.pdist(embeddings).mean()))
    return torch.stack(scores)

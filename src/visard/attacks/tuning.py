"""Fine-tuning a recogniser on pictures the tool drew of other people (T4)."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visard.faces.recognizer import Recognizer

SHARE = 0.5
"""Of the parameters, counted from the output, that are trained: earlier layers see what all faces share."""
BATCH = 16
LEARNING_RATE = 1e-3
SCALE = 16.0


def fine_tune(
    recognizer: Recognizer,
    crops: Tensor,
    labels: Tensor,
    prototypes: Tensor,
    *,
    steps: int,
    learning_rate: float = LEARNING_RATE,
    generator: torch.Generator,
) -> Recognizer:
    """A copy that takes drawn faces to where real ones lie.

    crops (N, 3, size, size) in [-1, 1] and labels (N,) in 0..S-1 are drawn faces, prototypes (S, D) what the
    original makes of the real photos of these people: softmax over SCALE times their cosines.
    """
    crops, labels, prototypes = (each.to(recognizer.device) for each in (crops, labels, prototypes))
    tuned = copy.deepcopy(recognizer)
    trained = _last_parameters(tuned.network)
    for each in trained:
        each.requires_grad_(True)
    optimizer = torch.optim.AdamW(trained, learning_rate, weight_decay=0.0)
    for _ in range(steps):
        chosen = torch.randint(len(crops), (min(BATCH, len(crops)),), generator=generator)
        cosines = tuned.embed(crops[chosen]) @ prototypes.T
        loss = F.cross_entropy(SCALE * cosines, labels[chosen])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    tuned.requires_grad_(False)
    return tuned


def _last_parameters(network: nn.Module) -> list[nn.Parameter]:
    """The last layers that hold SHARE of all parameters, at least one."""
    everything = list(network.parameters())
    wanted, held, chosen = SHARE * sum(each.numel() for each in everything), 0, []
    for each in reversed(everything):
        chosen.append(each)
        held += each.numel()
        if held >= wanted:
            break
    return chosen

"""Is a recogniser read as it was trained? A wrong channel order or range still gives plausible numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from visard.faces.recognizer import InputSpec, Recognizer

RANGES = ((127.5, 127.5), (0.0, 255.0), (0.0, 1.0))
"""(mean, scale) of the inputs in use: -1..1, 0..1, 0..255."""


def alternatives(spec: InputSpec) -> Iterator[tuple[str, InputSpec]]:
    """Inputs that a wrong row could declare, in words; what is nearly the declared one is left out."""
    swapped = replace(spec, channels="RGB" if spec.channels == "BGR" else "BGR")
    yield f"{swapped.channels} input", swapped
    for mean, scale in RANGES:
        if abs(mean - spec.mean) > 1 or not 0.9 < scale / spec.scale < 1.1:
            yield f"input (255 x - {mean:g}) / {scale:g}", replace(spec, mean=mean, scale=scale)


@torch.no_grad()
def embed(recognizer: Recognizer, photos: Tensor, landmarks: Tensor) -> Tensor:
    """Pictures (B, 3, H, W), landmarks (B, 5, 2) -> embeddings (B, D) on the CPU."""
    return recognizer.embed_faces(photos, landmarks).cpu()


def pairs(embeddings: Tensor) -> Tensor:
    """Similarities of all pairs of rows, the first row's pairs first: (N, D) -> (N (N - 1) / 2,)."""
    first, second = torch.triu_indices(len(embeddings), len(embeddings), 1)
    return (embeddings @ embeddings.T)[first, second]

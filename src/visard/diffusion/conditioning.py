"""What the UNet is told besides latents and timesteps, of one model family or the other, as one value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Conditioning:
    """Text embeddings `(B, L, D)`; for SDXL also pooled ones `(B, P)` and time ids `(B, 6)`.

    The time ids are SDXL's micro-conditioning in pixels: original size, crop offset, target size, each (y, x)
    (Podell et al. 2023, section 2.2).
    """

    text: Tensor
    pooled: Tensor | None = None
    time_ids: Tensor | None = None

    def __len__(self) -> int:
        return len(self.text)

    def __getitem__(self, rows: slice | list[int]) -> Conditioning:
        """Some of the batch, in the order given."""
        return self._each(lambda tensor: tensor[rows])

    @classmethod
    def cat(cls, parts: Sequence[Conditioning]) -> Conditioning:
        """One batch of several; all are of the same family."""

        def joined(tensors: list[Tensor | None]) -> Tensor | None:
            present = [tensor for tensor in tensors if tensor is not None]
            return torch.cat(present) if present else None

        return cls(
            torch.cat([part.text for part in parts]),
            joined([part.pooled for part in parts]),
            joined([part.time_ids for part in parts]),
        )

    def repeat(self, count: int) -> Conditioning:
        """A batch of one, `count` times, without copies."""
        return self._each(lambda tensor: tensor.expand(count, *tensor.shape[1:]))

    def to(self, device: torch.device, dtype: torch.dtype) -> Conditioning:
        """The same values where and as a network wants them."""
        return self._each(lambda tensor: tensor.to(device, dtype))

    def without_text(self) -> Conditioning:
        """SDXL's empty prompt: every text embedding zero, the time ids kept."""
        pooled = None if self.pooled is None else torch.zeros_like(self.pooled)
        return Conditioning(torch.zeros_like(self.text), pooled, self.time_ids)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Conditioning:
        pooled = None if self.pooled is None else change(self.pooled)
        time_ids = None if self.time_ids is None else change(self.time_ids)
        return Conditioning(change(self.text), pooled, time_ids)

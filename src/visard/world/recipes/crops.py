"""Aligned crops straight from rendered pictures: one exact warp, the landmarks off as a detector's are."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from visard.faces.alignment import align, template
from visard.world.dataset import Pictures
from visard.world.recipes.augmentation import jitter_landmarks


def pictures_at(pictures: Pictures, indices: Tensor, device: torch.device | str = "cpu") -> Tensor:
    """Whole pictures (B, 3, H, W) in [-1, 1]."""
    pixels = torch.from_numpy(pictures.pixels[indices.numpy()]).to(device)
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1


class FaceCrops:
    """Crops of one set of pictures.

    margin: how much wider than the ArcFace crop they are (`template`).
    change: what befalls the whole pictures first.
    """

    def __init__(
        self,
        pictures: Pictures,
        size: int,
        *,
        margin: float = 0.0,
        change: Callable[[Tensor], Tensor] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.pictures, self.size, self.change, self.device = pictures, size, change, device
        self.target = template(size, margin).to(device)
        self.landmarks = torch.from_numpy(pictures.landmarks).float()

    def __call__(
        self, indices: Tensor, generator: torch.Generator | None = None, jitter: float = 0.0
    ) -> Tensor:
        """(B, 3, size, size) in [-1, 1]; `jitter` is the landmarks' error as a share of the eye distance."""
        landmarks = self.landmarks[indices]
        if generator is not None and jitter > 0:
            landmarks = jitter_landmarks(landmarks, jitter, generator)
        pictures = pictures_at(self.pictures, indices, self.device)
        if self.change is not None:
            pictures = self.change(pictures)
        return align(pictures, landmarks.to(self.device), self.size, self.target)

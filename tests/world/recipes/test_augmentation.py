"""Augmentations: pictures stay pictures, only their share is touched, a seed says everything."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from visard.world.recipes import augmentation

CHANGES: tuple[Callable[[Tensor, torch.Generator], Tensor], ...] = (
    augmentation.flip,
    augmentation.recolor,
    augmentation.coarsen,
    augmentation.compress,
    augmentation.add_noise,
    augmentation.cut_out,
)


def pictures(count: int = 20) -> Tensor:
    return torch.rand(count, 3, 32, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("change", CHANGES)
def test_pictures_stay_pictures_and_follow_the_seed(change: Callable[..., Tensor]) -> None:
    before = pictures()
    first, second = (change(before.clone(), torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == before.shape
    assert float(first.abs().max()) <= 1
    assert not torch.equal(first, before)
    assert not torch.equal(first, change(before.clone(), torch.Generator().manual_seed(4)))


@pytest.mark.parametrize("change", [change for change in CHANGES if change is not augmentation.recolor])
def test_only_a_share_is_touched(change: Callable[..., Tensor]) -> None:
    before = pictures(200)
    share = 0.25
    after = change(before, torch.Generator().manual_seed(0), share=share)
    touched = (before != after).flatten(1).any(1).float().mean()
    assert float(touched) == pytest.approx(share, abs=0.1)
    assert torch.equal(change(before, torch.Generator(), share=0.0), before)


def test_compression_loses_what_a_jpeg_loses() -> None:
    """Smooth pictures hardly change; noise does, about as much as under Pillow's encoder."""
    smooth = torch.linspace(-0.5, 0.5, 32).expand(8, 3, 32, 32)
    generator = torch.Generator().manual_seed(0)
    noisy = (smooth + 0.3 * torch.randn(smooth.shape, generator=generator)).clamp(-1, 1)
    errors = [
        float((augmentation.compress(x, generator, share=1.0) - x).abs().mean()) for x in (smooth, noisy)
    ]
    grey = ((noisy[0, 0] + 1) * 127.5).numpy().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "JPEG", quality=50)
    theirs = np.abs(np.asarray(Image.open(buffer), np.float32) - grey).mean() / 127.5
    assert errors[0] < 0.02
    assert errors[1] == pytest.approx(theirs, rel=0.35)


def test_landmarks_are_off_by_a_share_of_the_eye_distance() -> None:
    landmarks = torch.tensor([[20.0, 20], [60, 20], [40, 40], [25, 60], [55, 60]]).expand(500, 5, 2)
    moved = augmentation.jitter_landmarks(landmarks, 0.05, torch.Generator().manual_seed(0))
    assert float((moved - landmarks).std()) == pytest.approx(0.05 * 40, rel=0.1)

from __future__ import annotations

import math

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from visard.benchmark.change import psnr, ssim


def test_against_scikit_image() -> None:
    generator = torch.Generator().manual_seed(0)
    photos = torch.rand(2, 3, 24, 20, generator=generator) * 2 - 1
    changed = (photos + 0.1 * torch.randn(photos.shape, generator=generator)).clamp(-1, 1)
    pairs = [
        (one.permute(1, 2, 0).double().numpy(), two.permute(1, 2, 0).double().numpy())
        for one, two in zip(photos, changed, strict=True)
    ]
    theirs = [peak_signal_noise_ratio(*pair, data_range=2) for pair in pairs]
    assert psnr(photos, changed) == pytest.approx(sum(theirs) / 2)
    options = {"channel_axis": 2, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    theirs = [structural_similarity(*pair, data_range=2, **options) for pair in pairs]
    assert ssim(photos, changed) == pytest.approx(sum(theirs) / 2, abs=1e-6)


def test_equal_pictures() -> None:
    picture = torch.linspace(-1, 1, 3 * 16 * 16).view(1, 3, 16, 16)
    assert psnr(picture, picture) == math.inf
    assert ssim(picture, picture) == pytest.approx(1)

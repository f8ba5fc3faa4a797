"""The matcher's recipe: NT-Xent by hand, views that are parts, an encoder the kit can load."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from visard.kits import EncoderRow, InputSpec, _load_encoder
from visard.world.dataset import Pictures
from visard.world.recipes import Job, build, matcher
from visard.world.recipes.crops import pictures_at


def test_agreement_is_the_papers_loss() -> None:
    """Four orthogonal pairs: each partner at similarity 1, six others at 0."""
    loss = matcher.agreement_loss(3 * torch.eye(4).repeat(2, 1), temperature=0.5)
    assert float(loss) == pytest.approx(-math.log(math.exp(2) / (math.exp(2) + 6)), rel=1e-5)
    mismatched = matcher.agreement_loss(torch.eye(4)[[0, 1, 2, 3, 1, 2, 3, 0]], temperature=0.5)
    assert float(mismatched) > float(loss)


def test_views_are_parts_of_the_picture(blobs: Callable[..., Pictures]) -> None:
    whole = pictures_at(blobs(4, 2), torch.arange(8))
    views = matcher.view(whole, torch.Generator().manual_seed(0))
    assert views.shape == (8, 3, 96, 96)
    assert float(views.abs().max()) <= 1
    assert not torch.equal(views, matcher.view(whole, torch.Generator().manual_seed(1)))


def test_the_encoder_trains_ships_and_is_measured(renders: Path, tmp_path: Path) -> None:
    scores = build("matcher", Job(renders, tmp_path, steps=2))
    row = {**matcher.kit_row(), "file": tmp_path / "matcher.safetensors"}
    row["input"] = InputSpec(**row["input"])
    encoder = _load_encoder(EncoderRow(**row))
    assert encoder(torch.zeros(2, 3, 128, 128)).shape == (2, matcher.DIMENSION)
    assert scores["FID between two halves of unseen people"] >= 0
    assert 0 <= scores["rank-1 of the same picture by another view"] <= 1

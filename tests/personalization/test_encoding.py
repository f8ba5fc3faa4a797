"""Encoding photos: the same posteriors however many pass through the autoencoder at once."""

from __future__ import annotations

import pytest
import torch

from personalization.fakes import SIZE, photos
from visard.diffusion.backbone import Backbone
from visard.personalization import encoding


def test_few_at_a_time_are_the_same_posteriors(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encoding.encoded(backbone, photos(5))
    at_once: list[int] = []
    backbone.vae.encoder.register_forward_hook(lambda _, inputs, __: at_once.append(len(inputs[0])))
    monkeypatch.setattr(encoding, "ENCODED_PIXELS", 2 * SIZE * SIZE)
    parts = encoding.encoded(backbone, photos(5))
    assert at_once == [2, 2, 1]
    torch.testing.assert_close(parts.mean, whole.mean)
    torch.testing.assert_close(parts.std, whole.std)
    assert not parts.mean.requires_grad


def test_a_large_picture_passes_alone(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "ENCODED_PIXELS", 1)
    assert encoding.encoded(backbone, photos(2)).mean.shape[0] == 2

"""Turning a personalised model down: nothing, half and all of what training changed."""

from __future__ import annotations

import copy

import pytest
import torch

from visard.diffusion.backbone import Backbone
from visard.diffusion.strength import weaken


@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0])
def test_a_share_of_what_training_changed_is_left(backbone: Backbone, strength: float) -> None:
    base = copy.deepcopy(backbone)
    vae = [each.clone() for each in backbone.vae.parameters()]
    with torch.no_grad():
        for network in backbone.adaptable.values():
            for each in network.parameters():
                each += 0.5
    weaken(backbone, base, strength)
    for name, network in backbone.adaptable.items():
        for own, before in zip(network.parameters(), base.adaptable[name].parameters(), strict=True):
            torch.testing.assert_close(own, before + 0.5 * strength)
    assert all(torch.equal(*pair) for pair in zip(vae, backbone.vae.parameters(), strict=True))

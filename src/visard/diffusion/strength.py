"""A personalised model at less than its full strength, as people turn down a LoRA or merge checkpoints."""

from __future__ import annotations

import torch

from visard.diffusion.backbone import Backbone


@torch.no_grad()
def weaken(backbone: Backbone, base: Backbone, strength: float) -> None:
    """Leave of what training changed in the UNet and the text encoders a share: 1 all, 0 the base model.

    Both are of one architecture; `base` is what the training began with.
    """
    for name, network in backbone.adaptable.items():
        for own, before in zip(network.parameters(), base.adaptable[name].parameters(), strict=True):
            own.lerp_(before.to(own), 1 - strength)

"""Networks that another runtime holds: held-out judges without a gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class ForeignNetwork(nn.Module):
    """(B, 3, S, S) -> (B, D) by `run`, one picture at a time, as many published files fix the batch at 1.

    run: a numpy picture (1, 3, S, S) to its numpy embedding, of any shape.
    """

    def __init__(self, run: Callable[[Any], Any], runtime: str) -> None:
        super().__init__()
        self.run = run
        self.runtime = runtime

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and x.requires_grad:
            raise ValueError(
                f"a recogniser run by {self.runtime} has no gradient: use it as a judge, not as a surrogate"
            )
        pictures = torch.split(x.detach().cpu(), 1)
        rows = [torch.from_numpy(self.run(picture.numpy()).copy()).reshape(1, -1) for picture in pictures]
        return torch.cat(rows).to(x.device)

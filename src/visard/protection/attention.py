"""Cross-attention maps of a UNet, as the pass that makes them sees them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class Watching:
    """diffusers' attention written out, so that its maps can be seen: `found` gets them, (B, heads, N, L)."""

    def __init__(self, found: list[Tensor]) -> None:
        self.found = found

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        **_: Any,
    ) -> Tensor:
        query = attn.head_to_batch_dim(attn.to_q(hidden_states))
        key = attn.head_to_batch_dim(attn.to_k(encoder_hidden_states))
        value = attn.head_to_batch_dim(attn.to_v(encoder_hidden_states))
        maps: Tensor = attn.get_attention_scores(query, key, attention_mask)
        self.found.append(maps.reshape(len(hidden_states), -1, *maps.shape[1:]))
        attended = attn.batch_to_head_dim(torch.bmm(maps, value))
        output: Tensor = attn.to_out[1](attn.to_out[0](attended))
        return output


@contextmanager
def cross_attention(unet: Any) -> Iterator[list[Tensor]]:
    """The maps (B, heads, N, L) of every cross-attention while the context lasts, in the layers' order."""
    found: list[Tensor] = []
    before = dict(unet.attn_processors)
    watching = {name: Watching(found) for name in before if ".attn2." in name}
    unet.set_attn_processor({**before, **watching})
    try:
        yield found
    finally:
        unet.set_attn_processor(before)

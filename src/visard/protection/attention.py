"""Cross-attention maps of a UNet, as the pass that makes them sees them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class Watch:
    """What the passes through a watched UNet leave to be seen."""

    def __init__(self) -> None:
        self.found: list[Tensor] | None = None

    @contextmanager
    def maps(self) -> Iterator[list[Tensor]]:
        """The maps (B, heads, N, L) of every cross-attention in here, in the layers' order.

        Leave it before the backward pass: what that recomputes is not to be seen twice, nor to be kept.
        """
        found = list[Tensor]()
        self.found = found
        try:
            yield found
        finally:
            self.found = None


class Watching:
    """diffusers' attention written out, so that its maps can be seen."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

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
        if self.watch.found is not None:
            self.watch.found.append(maps.reshape(len(hidden_states), -1, *maps.shape[1:]))
        attended = attn.batch_to_head_dim(torch.bmm(maps, value))
        output: Tensor = attn.to_out[1](attn.to_out[0](attended))
        return output


@contextmanager
def cross_attention(unet: Any) -> Iterator[Watch]:
    """A watch on every cross-attention while the context lasts; backward passes belong inside it too.

    Those that compute activations again, to save memory, must find the attention of the pass before.
    """
    watch = Watch()
    before = dict(unet.attn_processors)
    watching = {name: Watching(watch) for name in before if ".attn2." in name}
    unet.set_attn_processor({**before, **watching})
    try:
        yield watch
    finally:
        unet.set_attn_processor(before)

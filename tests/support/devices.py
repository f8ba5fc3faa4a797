"""A second device that no machine has: its tensors refuse to meet the CPU's, as those of a GPU do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

AWAY = torch.device("meta")
"""The one kind of device, besides the CPU, that every build of torch has; its own tensors have no numbers."""
COPY = torch.ops.aten.copy_.default
COPIES = {COPY, torch.ops.aten._to_copy.default}
INDEXED = {torch.ops.aten.index, torch.ops.aten.index_put, torch.ops.aten.index_put_}
MIXED = "Expected all tensors to be on the same device"


class Away(Tensor):
    """A tensor that says it is on the second device; its numbers are kept, on the CPU, in `held`."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Away:
        away: Away = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, held.size(), strides=held.stride(), dtype=held.dtype, device=AWAY
        )
        away.held = held
        return away

    # torch's own versions of these two pass every mode by, and make tensors without numbers
    def __getitem__(self, index: Any) -> Tensor:
        return super().__getitem__(torch.tensor(index) if isinstance(index, list) else index)

    def new_tensor(self, data: Any, **options: Any) -> Tensor:
        return Away(torch.tensor(data, **{"dtype": self.dtype, **options}))

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Away({self.held!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _SecondDevice(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    """One operation, on the CPU, its results said to be where its device or its tensors are."""
    everything = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
    if any(each.device == AWAY and not isinstance(each, Away) for each in everything):
        raise NotImplementedError(f"{func} on a tensor that was made without numbers")
    if func.overloadpacket in INDEXED:  # the indices may be the CPU's
        everything = [each for each in everything if not any(each is index for index in args[1])]
    away = [isinstance(each, Away) for each in everything if each.dim() or isinstance(each, Away)]
    if any(away) and not all(away) and func not in COPIES:
        raise RuntimeError(f"{MIXED}: {func}")
    there = isinstance(args[0], Away) if func is COPY else any(away)
    if (device := kwargs.get("device")) is not None:
        there = torch.device(device).type == AWAY.type
        kwargs = {**kwargs, "device": "cpu"}
    found = func(*_here(args), **_here(kwargs))
    if func is COPY:
        return args[0]
    return tree_map_only(Tensor, Away, found) if there else found


def _here(tree: Any) -> Any:
    return tree_map_only(Away, lambda away: away.held, tree)


@contextmanager
def second_device() -> Iterator[torch.device]:
    """The second device, as long as it is there."""
    autocast = torch.autocast

    def known(kind: str, **options: Any) -> Any:  # autocast knows no such device
        return nullcontext() if kind == AWAY.type else autocast(kind, **options)

    with _SecondDevice(), mock.patch.object(torch, "autocast", known):
        yield AWAY

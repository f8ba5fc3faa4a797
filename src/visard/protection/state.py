"""Tables of tensors in one table, and back: what a checkpoint keeps of a method."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def pack(**tables: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`table/name` -> tensor."""
    return {f"{table}/{name}": value for table, values in tables.items() for name, value in values.items()}


def unpack(table: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One of the tables that were packed."""
    prefix = f"{table}/"
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}

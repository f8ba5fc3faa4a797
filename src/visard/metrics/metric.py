"""What a figure means, as data: which way is better, which values it can take, what it is computed from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """One row of the registry.

    `better` is the direction a person who wants privacy and good pictures hopes for; "neither" means that
    both ends are bad news. `takes` says what `measure` is given; `low` and `high` bound its value.
    """

    name: str
    title: str
    better: Literal["lower", "higher", "neither"]
    low: float
    high: float
    takes: Literal[
        "faces", "similarities", "ranks", "linked", "score sets", "features", "pictures", "attributes"
    ]
    source: str
    measure: Callable[..., object]

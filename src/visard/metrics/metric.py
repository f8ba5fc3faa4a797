"""What a figure means, as data: which way is better, which values it can take, what it is computed from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Takes = Literal[
    "faces",  # what a detector found in each picture
    "crops",  # aligned faces (B, 3, size, size) in [-1, 1], and a recogniser
    "similarities",  # cosines of each picture to the gallery (P, N), and the true column
    "ranks",  # (P,), 1 = first
    "linked",  # (P,) bool over all pictures, and whose they are
    "score sets",  # mated (A,) and non-mated (B,) scores
    "features",  # rows of a named network's features, (P, D) and (R, D)
    "pictures",  # (P, 3, H, W) in [-1, 1]
    "attributes",  # name -> (P, C) distributions, of pictures and of photos
    "quantities",  # (P,) and (R,) numbers in the head's unit
    "descriptions",  # (P, Q) and (R, Q) deviations from the average person, of pictures and of photos
    "agreements",  # (P,) mean agreement of each picture, of two arms
    "nearest",  # (P,) and (R,) cosines to the nearest training photo
]


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
    takes: Takes
    source: str
    measure: Callable[..., object]

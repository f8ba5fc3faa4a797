"""Closed-set retrieval.

Where does the true person stand when a gallery is sorted by similarity to a picture?
"""

from __future__ import annotations

import torch
from torch import Tensor


def ranks(similarities: Tensor, true: Tensor) -> Tensor:
    """Rank of the true identity, 1 = first: similarities (P, N), column of the true one (P,) -> (P,).

    Ties go to the searcher: only identities strictly more similar stand before.
    """
    own = similarities.gather(1, true[:, None])
    return (similarities > own).sum(1) + 1


def rank_from_bottom(similarities: Tensor, true: Tensor) -> Tensor:
    """Rank counted from the least similar, 1 = last.

    A person who is always last has been found just as well.
    """
    own = similarities.gather(1, true[:, None])
    return (similarities < own).sum(1) + 1


def retrieval_rate(ranks: Tensor, k: int, pictures: int | None = None) -> float:
    """Rk-U.

    Share with the true identity among the first k; `pictures` counts those without a face as misses.
    """
    total = ranks.numel() if pictures is None else pictures
    return float((ranks <= k).sum()) / total if total else float("nan")


def median_rank(ranks: Tensor) -> float:
    """Median of the ranks (mean of the middle two); NaN without ranks."""
    return float(torch.quantile(ranks.double(), 0.5)) if ranks.numel() else float("nan")

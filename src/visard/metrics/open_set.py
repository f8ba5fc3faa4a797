"""Open-set search with people who are not enrolled: TPIR at FPIR, as in NIST FRTE 1:N.

Half of the searches are by people whom the gallery does not hold. Their best scores set the threshold, so
that no more than `fpir` of them name anybody; the other searches must name their own person above it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from visard.metrics.identification import tpir
from visard.metrics.verification import threshold_at


def open_set_tpir(
    similarities: Tensor, true: Tensor, unenrolled: Tensor, fpir: float, pictures: int | None = None
) -> float:
    """Share of the enrolled people's searches that name them, at the false-positive rate `fpir`.

    similarities (P, N) and true column (P,) of enrolled searches, unenrolled (Q, N) of the others;
    `pictures` counts those without a face as misses. NaN without searches.
    """
    return tpir(similarities, true, threshold_at(unenrolled.max(1).values, fpir), pictures)


def search_scores(similarities: Tensor, true: Tensor) -> Tensor:
    """Score with which each search would name the true person: (P, N), (P,) -> (P,).

    -inf where somebody else is as similar: a search names whoever stands first.
    """
    own = similarities.gather(1, true[:, None]).squeeze(1)
    columns = torch.arange(similarities.shape[1])
    best_other = similarities.masked_fill(true[:, None] == columns, -torch.inf).max(1).values
    return own.masked_fill(best_other >= own, -torch.inf)

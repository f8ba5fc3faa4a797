"""Unlinkability after Gomez-Barrero, Galbally, Rathgeb & Busch (IEEE TIFS 2018).

D_sys, 0 = unlinkable, 1 = always linked.

Unlike AUC or ranks it also sees repulsion: mated scores far BELOW the strangers' give a person away just as
well.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.stats import binom
from torch import Tensor

LOWEST = 0.05
"""Of the places among strangers, those in which people are counted as pushed away."""


@dataclass(frozen=True)
class Linkability:
    """D_sys beside what chance alone gives.

    The null's mean and 95th percentile, and the share of it at or above.
    """

    d_sys: float
    null_mean: float
    null_high: float
    p_value: float


def bins_for(mated: int) -> int:
    """About ten mated scores a bin, at least 10 and at most 100 bins."""
    return max(10, min(100, mated // 10))


def d_sys(mated: Tensor, non_mated: Tensor, bins: int | None = None, omega: float = 1.0) -> float:
    """Global linkability of two score sets, in [0, 1]; NaN if one is empty.

    omega: prior ratio of mated to non-mated pairs. D(s) = 2 w LR / (1 + w LR) - 1 where w LR > 1, else 0, and
    D_sys = sum over bins of p(s|mated) D(s) ds: a sum, because histograms are step functions.
    """
    if not mated.numel() or not non_mated.numel():
        return float("nan")
    count = bins if bins is not None else bins_for(mated.numel())
    low = float(min(mated.min(), non_mated.min()))
    high = float(max(mated.max(), non_mated.max()))
    if high <= low:
        return 0.0
    p = torch.histc(mated.double(), count, low, high) / mated.numel()
    q = torch.histc(non_mated.double(), count, low, high) / non_mated.numel()
    # With LR = p/q, 2 w LR / (1 + w LR) - 1 = (w p - q) / (w p + q): no division by an empty bin.
    local = ((omega * p - q) / (omega * p + q).clamp(min=1e-300)).clamp(min=0.0)
    return float((p * local).sum())


def picture_linkability(
    similarities: Tensor, true: Tensor, draws: int, generator: torch.Generator
) -> Linkability:
    """D_sys of pictures searched in a gallery, against the null of a stranger standing in for each person.

    similarities (P, N), column of the true identity (P,). Scores of one column hang together, so shuffling
    single scores would make the null too narrow; here a whole column takes the part of the mated one and the
    true column is left out. For one person every stranger stands in once: more draws would be copies.
    """
    people, member = torch.unique(true, return_inverse=True)
    columns = torch.arange(similarities.shape[1])
    own = true[:, None] == columns
    value = d_sys(similarities[own], similarities[~own])
    strangers = columns[~torch.isin(columns, people)]
    null = []
    if strangers.numel() < 2:
        stand_ins = strangers[:0, None]
    elif people.numel() == 1:
        stand_ins = strangers[:, None]
    else:
        drawn = torch.randint(strangers.numel(), (draws, people.numel()), generator=generator)
        stand_ins = strangers[drawn]
    for stand_in in stand_ins:
        chosen = stand_in[member][:, None] == columns
        null.append(d_sys(similarities[chosen], similarities[~chosen & ~own]))
    return _against(value, null)


def repulsion_p_value(similarities: Tensor, true: Tensor, draws: int, generator: torch.Generator) -> float:
    """Chance of a true identity this DISSIMILAR if the pictures had nothing to do with it.

    NaN without strangers.

    The person's mean place among the strangers, against strangers drawn in the person's stead. With one
    person the smallest value possible is 1 / (strangers + 1).
    """
    places, candidates = _places(similarities, true)
    if candidates < 2 or not places.numel():
        return float("nan")
    seen = places.double().mean()
    if places.numel() == 1:
        return float((seen + 1) / candidates)
    stand_in = torch.randint(candidates, (draws, places.numel()), generator=generator)
    return float((1 + (stand_in.double().mean(1) <= seen).sum()) / (draws + 1))


@dataclass(frozen=True)
class Lowest:
    """People who are among the least similar `share` of identities to their own pictures.

    count: of the people; p_value: chance of so many if the pictures had nothing to do with them.
    """

    count: int
    people: int
    share: float
    p_value: float


def lowest_places(similarities: Tensor, true: Tensor) -> Lowest:
    """How many people stand in the lowest places, though others may stand first: which a mean place hides.

    similarities (P, N), column of the true identity (P,). The lowest places are a twentieth of all, at least
    one; in whose stead a stranger stands is there with that chance (binomial). NaN without strangers.
    """
    places, candidates = _places(similarities, true)
    if candidates < 2 or not places.numel():
        return Lowest(0, places.numel(), float("nan"), float("nan"))
    lowest = max(1, int(LOWEST * candidates))
    count, people, share = int((places < lowest).sum()), places.numel(), lowest / candidates
    return Lowest(count, people, share, float(binom.sf(count - 1, people, share)))


def _places(similarities: Tensor, true: Tensor) -> tuple[Tensor, int]:
    """Each person's place among the strangers, 0 = least similar, by the mean over pictures; of how many."""
    people, member = torch.unique(true, return_inverse=True)
    columns = torch.arange(similarities.shape[1])
    strangers = columns[~torch.isin(columns, people)]
    per_person = torch.zeros(people.numel(), similarities.shape[1], dtype=torch.float64)
    per_person.index_add_(0, member, similarities.double())
    candidates = torch.cat([per_person.gather(1, people[:, None]), per_person[:, strangers]], 1)
    return candidates.argsort(1).argsort(1)[:, 0], candidates.shape[1]


def _against(value: float, null: list[float]) -> Linkability:
    if not null:
        return Linkability(value, float("nan"), float("nan"), float("nan"))
    drawn = torch.tensor(null, dtype=torch.float64)
    reached = int((drawn >= value - 1e-12).sum())
    high = float(torch.quantile(drawn, 0.95))
    return Linkability(value, float(drawn.mean()), high, (1 + reached) / (1 + len(null)))

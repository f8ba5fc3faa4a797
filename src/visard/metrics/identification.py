"""Open-set identification: a search names a person only if the first candidate's score is above a threshold.

TPIR at FPIR as in NIST FRTE, 1:N. The threshold comes from searches with real photos of people who are not
enrolled; to waste nobody, each stranger is searched for with their own entry left out. Searches of one person
err together, so that a share of searches says too little: thresholds are set for whoever comes new.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from visard.metrics.verification import threshold_at


def unenrolled_top_scores(similarities: Tensor, own: Tensor) -> Tensor:
    """Best score of each search by a person who is not there.

    Similarities (M, N), own column (M,) -> (M,).
    """
    columns = torch.arange(similarities.shape[1])
    return similarities.masked_fill(own[:, None] == columns, -torch.inf).max(1).values


def finest(rate: float, people: int) -> float:
    """The false-positive rate that is asked for, or the finest one that so many people can show.

    However many searches each of them makes: those of one person err together. Above the highest score of n
    people there is one newcomer in n + 1.
    """
    return max(rate, 1 / (people + 1))


def limits_by_others(tops: Tensor, owner: Tensor, passing: float) -> Tensor:
    """The threshold that each person's searches meet where all others set it: tops, owner (Q,) -> (S,).

    passing: share of the others' searches that pass, rounded up.
    """
    limits = []
    for person in range(int(owner.max()) + 1):
        others = tops[owner != person]
        passed = min(math.ceil(passing * len(others) - 1e-9), len(others) - 1)
        limits.append(others.topk(passed + 1).values[-1] if len(others) else tops.new_tensor(torch.inf))
    return torch.stack(limits)


def passing_share(tops: Tensor, owner: Tensor, rate: float) -> float:
    """The share of these searches to let pass so that no more than `rate` of a newcomer's do.

    tops (Q,): the highest scores of searches by people who are not enrolled, owner (Q,): whose each is. Found
    on everybody in turn as the newcomer among the others; nothing passes where less would not do, or where
    there are no others.
    """
    people, owner = torch.unique(owner, return_inverse=True)
    everyone = 1 / torch.bincount(owner).double()[owner] / len(people)
    passed, most = 0, int(rate * len(tops) + 1e-9) if len(people) > 1 else 0
    while passed < most:  # the more pass, the lower are the limits, and the more newcomers are named
        middle = (passed + most + 1) // 2
        named = tops > limits_by_others(tops, owner, middle / len(tops))[owner]
        if float(everyone[named].sum()) <= rate + 1e-9:
            passed = middle
        else:
            most = middle - 1
    return passed / len(tops)


def newcomers_threshold(tops: Tensor, owner: Tensor, rate: float, weights: Tensor) -> tuple[float, Tensor]:
    """Where no more than `rate` of a newcomer's searches name anybody, and the same in every bootstrap draw.

    tops, owner (Q,) as for `passing_share`, owner in 0..N-1; weights of people (draws, N).
    """
    passing = passing_share(tops, owner, rate)
    return threshold_at(tops, passing), redrawn_thresholds(tops, owner, weights, passing)


def redrawn_thresholds(scores: Tensor, owner: Tensor, weights: Tensor, rate: float) -> Tensor:
    """The threshold of `rate` in each draw: scores, owner (M,), weights of people (draws, N) -> (draws,)."""
    weights = weights.double()
    total = weights @ torch.bincount(owner, minlength=weights.shape[1]).double()
    tail = min(len(scores), max(200, int(10 * rate * len(scores))))  # no draw's threshold lies below
    ordered, where = scores.double().topk(tail)
    passed = torch.cumsum(weights[:, owner[where]], 1)
    at = torch.searchsorted(passed, rate * total[:, None] + 1e-9, right=True).squeeze(1)
    return ordered[at.clamp(max=tail - 1)]


def named(similarities: Tensor, threshold: float) -> Tensor:
    """Column each search names, -1 for nobody: (P, N) -> (P,)."""
    best, column = similarities.max(1)
    return torch.where(best > threshold, column, torch.full_like(column, -1))


def tpir(similarities: Tensor, true: Tensor, threshold: float, pictures: int | None = None) -> float:
    """Share of searches that name the true person; `pictures` counts those without a face as misses."""
    total = true.numel() if pictures is None else pictures
    return float((named(similarities, threshold) == true).sum()) / total if total else float("nan")

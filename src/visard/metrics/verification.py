"""1:1 comparison.

Is this the same person? A pair matches where its similarity is strictly above the threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

RATES = (1e-2, 1e-3, 1e-4)


@dataclass(frozen=True)
class DetCurve:
    """False match and false non-match rate at every threshold that changes either, thresholds descending."""

    thresholds: Tensor
    fmr: Tensor
    fnmr: Tensor

    def thinned(self, points: int = 160) -> DetCurve:
        """At most `points` of them, evenly spread over log FMR, ends kept."""
        if self.fmr.numel() <= points:
            return self
        at = torch.logspace(float(self.fmr[self.fmr > 0].min().log10()), 0, points, dtype=torch.float64)
        keep = torch.unique(torch.searchsorted(self.fmr.contiguous(), at, right=True).sub(1).clamp(min=0))
        return DetCurve(self.thresholds[keep], self.fmr[keep], self.fnmr[keep])


def threshold_at(non_mated: Tensor, rate: float) -> float:
    """Lowest threshold at which no more than `rate` of the non-mated scores match; +inf without scores."""
    if not non_mated.numel():
        return float("inf")
    allowed = min(int(rate * non_mated.numel() + 1e-9), non_mated.numel() - 1)
    return float(non_mated.flatten().topk(allowed + 1).values[-1])


def resolvable(comparisons: int, rate: float) -> bool:
    """Whether a rate can be seen at all in so many comparisons."""
    return comparisons * rate >= 1.0


def match_rate(scores: Tensor, threshold: float) -> float:
    """Share of the scores above the threshold; NaN without scores."""
    return float((scores > threshold).double().mean())


def resampled_thresholds(
    scores: Tensor, probe_owner: Tensor, weights: Tensor, rates: Sequence[float] = RATES
) -> Tensor:
    """Thresholds re-estimated in every bootstrap draw of the strangers.

    scores (M, N): photo m against the template of stranger n; probe_owner (M,): whose photo it is; weights
    (draws, N): how often each stranger was drawn. A pair counts w_owner x w_n times, a stranger's own
    template never. Returns (draws, len(rates)).
    """
    strangers = scores.shape[1]
    others = probe_owner[:, None] != torch.arange(strangers)
    pairs = int(others.sum())
    # Only the tail that can hold the threshold has to be walked in every draw.
    tail = min(pairs, max(200, int(10 * max(rates, default=0.0) * pairs)))
    ordered, where = scores.double().masked_fill(~others, -torch.inf).flatten().topk(tail)
    probe, template = probe_owner[where // strangers], where % strangers
    photos = torch.bincount(probe_owner, minlength=strangers).double()
    result = torch.empty(weights.shape[0], len(rates), dtype=torch.float64)
    limits = torch.tensor(list(rates), dtype=torch.float64)
    for draw, weight in enumerate(weights.double()):
        total = (weight * photos).sum() * weight.sum() - (weight**2 * photos).sum()
        passed = torch.cumsum(weight[probe] * weight[template], 0)
        at = torch.searchsorted(passed, limits * total + 1e-9, right=True)
        result[draw] = ordered[at.clamp(max=tail - 1)]
    return result


def det_curve(mated: Tensor, non_mated: Tensor) -> DetCurve:
    """Detection error trade-off.

    Mated (A,), non_mated (B,) scores -> one point a distinct score, ends included.
    """
    thresholds = torch.unique(torch.cat([mated, non_mated]).double()).flip(0)
    thresholds = torch.cat([thresholds, torch.tensor([-torch.inf], dtype=torch.float64)])
    return DetCurve(thresholds, _above(non_mated, thresholds), 1.0 - _above(mated, thresholds))


def equal_error_rate(mated: Tensor, non_mated: Tensor) -> float:
    """Rate at which false matches and false non-matches are equally frequent, linear between points.

    NaN if empty.
    """
    if not mated.numel() or not non_mated.numel():
        return float("nan")
    curve = det_curve(mated, non_mated)
    gap = curve.fmr - curve.fnmr  # rises along the curve
    after = int(torch.nonzero(gap >= 0)[0])
    if after == 0:
        return float((curve.fmr[0] + curve.fnmr[0]) / 2)
    before = after - 1
    share = float(-gap[before] / (gap[after] - gap[before]))
    return float(curve.fmr[before] + share * (curve.fmr[after] - curve.fmr[before]))


def auc(mated: Tensor, non_mated: Tensor) -> float:
    """Probability that a mated score exceeds a non-mated one, ties counting half (Mann-Whitney).

    NaN if empty.
    """
    if not mated.numel() or not non_mated.numel():
        return float("nan")
    ordered = non_mated.double().sort().values
    below = torch.searchsorted(ordered, mated.double(), right=False)
    up_to = torch.searchsorted(ordered, mated.double(), right=True)
    return float((below + up_to).double().mean() / (2 * ordered.numel()))


def _above(scores: Tensor, thresholds: Tensor) -> Tensor:
    ordered = scores.double().sort().values
    return 1.0 - torch.searchsorted(ordered, thresholds, right=True).double() / ordered.numel()

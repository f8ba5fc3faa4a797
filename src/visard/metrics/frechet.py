"""FID and KID between two sets of pictures, over a feature network that is named in every report.

FID (Heusel et al. 2017) is biased upwards at small n, KID (Binkowski et al. 2018) is not: below 2048 pictures
read KID.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from visard.metrics.jackknife import jackknife_interval

ENOUGH = 2048


@dataclass(frozen=True)
class Frechet:
    """Distances of n generated from m reference pictures.

    kid_interval: 95 %, over people; NaN for fewer than three. `note` is not empty where FID must not be
    compared.
    """

    fid: float
    kid: float
    kid_interval: tuple[float, float]
    n: int
    m: int
    features: str
    note: str


def fid(generated: Tensor, reference: Tensor) -> float:
    """Fréchet distance of the Gaussians fitted to two feature sets (n, D) and (m, D), n and m at least 2.

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)). With S = R^T R from a QR decomposition, the trace of the
    square root is the sum of the singular values of R1 R2^T: no square root of a singular matrix at small n.
    """
    mean_1, root_1 = _gaussian(generated)
    mean_2, root_2 = _gaussian(reference)
    cross = torch.linalg.svdvals(root_1 @ root_2.T).sum()
    spread = root_1.square().sum() + root_2.square().sum() - 2 * cross
    return max(0.0, float((mean_1 - mean_2).square().sum() + spread))


def kid(generated: Tensor, reference: Tensor) -> float:
    """Unbiased squared MMD with the kernel (x.y / D + 1)^3; may be negative.

    Its rows must be independent: where people have several on both sides, take `kid_between_people`.
    """
    within = [
        _kernel(rows, rows).fill_diagonal_(0).sum() / (len(rows) * (len(rows) - 1))
        for rows in (generated, reference)
    ]
    return float(within[0] + within[1] - 2 * _kernel(generated, reference).mean())


def kid_between_people(
    generated: Tensor, reference: Tensor, people: Tensor, reference_people: Tensor
) -> float:
    """KID from pairs of pictures of different people alone: (n, D), (m, D), whose each is (n,) and (m,).

    Pictures of one person are alike, within a set and across: counted, such pairs pull KID below 0 as soon as
    both sets show the same people. NaN for fewer than two people.
    """
    means = []
    for x, of_x, y, of_y in (
        (generated, people, generated, people),
        (reference, reference_people, reference, reference_people),
        (generated, people, reference, reference_people),
    ):
        apart = of_x[:, None] != of_y
        means.append(_kernel(x, y)[apart].mean())
    return float(means[0] + means[1] - 2 * means[2])


def _gaussian(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and a root R of the covariance, R^T R = S."""
    mean = features.double().mean(0)
    centred = (features.double() - mean) / (features.shape[0] - 1) ** 0.5
    return mean, torch.linalg.qr(centred, mode="r").R


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    """(n, D), (m, D) -> (n, m)."""
    return (x.double() @ y.double().T / x.shape[1] + 1) ** 3


def frechet(
    generated: Tensor, reference: Tensor, features: str, people: Tensor, reference_people: Tensor
) -> Frechet:
    """FID and KID of two feature sets (n, D) and (m, D), and whose each row is.

    KID is between people where there are several. NaN with a note where either set has fewer than 2 rows.
    """
    n, m = generated.shape[0], reference.shape[0]
    if min(n, m) < 2:
        nan = float("nan")
        return Frechet(nan, nan, (nan, nan), n, m, features, "needs at least 2 pictures on both sides")
    note = "" if min(n, m) >= ENOUGH else f"n = {n} against {m}: FID is biased upwards at this size, read KID"

    def apart(chosen: Sequence[int]) -> float:
        mine, theirs = (torch.isin(of, torch.tensor(chosen)) for of in (people, reference_people))
        return kid_between_people(generated[mine], reference[theirs], people[mine], reference_people[theirs])

    everybody = torch.unique(people).tolist()
    if len(everybody) < 2:
        found, interval = kid(generated, reference), (float("nan"), float("nan"))
    else:
        found, interval = apart(everybody), jackknife_interval(apart, everybody)
    return Frechet(fid(generated, reference), found, interval, n, m, features, note)

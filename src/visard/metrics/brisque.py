"""BRISQUE.

Mittal, Moorthy & Bovik, "No-reference image quality assessment in the spatial domain" (IEEE TIP 2012).

The 36 features are computed here. The score needs a trained support vector machine; several are in
circulation and differ by up to 14 points on one picture, so the user names the file and the report names it
too. Conventions the paper leaves open (zero padding, wrap-around neighbours, integer luma) follow the
authors' MATLAB release, for which its model was trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from visard.errors import ModelError

FEATURES = 36
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (-1, 1))  # horizontal, vertical, two diagonals
_TINY = 1e-12  # keeps a flat picture finite


def brisque_features(pictures: Tensor) -> Tensor:
    """(B, 3, H, W) in [-1, 1], sides of at least 16 -> (B, 36) float64: 18 at full scale, 18 at half."""
    red, green, blue = ((pictures.double().clamp(-1, 1) + 1) * 127.5).round().unbind(1)
    luma = (0.2989 * red + 0.5870 * green + 0.1140 * blue).round()[:, None]
    height, width = luma.shape[-2:]
    half = F.interpolate(
        luma, size=((height + 1) // 2, (width + 1) // 2), mode="bicubic", antialias=True, align_corners=False
    )
    return torch.cat([_scale_features(luma), _scale_features(half)], 1)


def mscn(luma: Tensor) -> Tensor:
    """Mean-subtracted, contrast-normalised coefficients of luma in [0, 255] (eqs.

    1-3): (B, 1, H, W) -> the same.
    """
    axis = torch.arange(-3, 4, dtype=luma.dtype)
    line = torch.exp(-(axis**2) / (2 * (7 / 6) ** 2))
    window = torch.outer(line, line)
    window = (window / window.sum())[None, None]
    mean = F.conv2d(luma, window, padding=3)
    deviation = (F.conv2d(luma**2, window, padding=3) - mean**2).abs().sqrt()
    return (luma - mean) / (deviation + 1.0)


def fit_ggd(values: Tensor) -> tuple[Tensor, Tensor]:
    """Shape and variance of a zero-mean generalised Gaussian by moment matching (eqs.

    4-6): (B, n) -> (B,), (B,).
    """
    variance = values.square().mean(1)
    ratio = values.abs().mean(1).square() / variance.clamp(min=_TINY)
    return _shape(ratio), variance


def fit_aggd(values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Shape, mean, left and right variance of an asymmetric generalised Gaussian (eqs.

    8-12): (B, n) -> four (B,).
    """
    left = values.clamp(max=0).square().sum(1) / (values < 0).sum(1).clamp(min=1)
    right = values.clamp(min=0).square().sum(1) / (values > 0).sum(1).clamp(min=1)
    balance = left.clamp(min=_TINY).sqrt() / right.clamp(min=_TINY).sqrt()
    ratio = values.abs().mean(1).square() / values.square().mean(1).clamp(min=_TINY)
    shape = _shape(ratio * (balance**3 + 1) * (balance + 1) / (balance**2 + 1).square())
    gamma1, gamma2, gamma3 = (torch.lgamma(order / shape) for order in (1, 2, 3))
    mean = (right.sqrt() - left.sqrt()) * torch.exp(gamma2 - (gamma1 + gamma3) / 2)
    return shape, mean, left, right


def _scale_features(luma: Tensor) -> Tensor:
    coefficients = mscn(luma)
    columns = [*fit_ggd(coefficients.flatten(1))]
    for shift in _NEIGHBOURS:
        product = coefficients * torch.roll(coefficients, shift, dims=(-2, -1))
        columns.extend(fit_aggd(product.flatten(1)))
    return torch.stack(columns, 1)


@cache
def _shape_table() -> tuple[Tensor, Tensor]:
    shapes = torch.arange(200, 10001, dtype=torch.float64) / 1000
    ratios = torch.exp(2 * torch.lgamma(2 / shapes) - torch.lgamma(1 / shapes) - torch.lgamma(3 / shapes))
    return shapes, ratios  # E|x|^2 / E x^2 rises with the shape, from .01 to nearly 3/4


def _shape(ratio: Tensor) -> Tensor:
    shapes, ratios = _shape_table()
    at = torch.searchsorted(ratios, ratio.contiguous()).clamp(1, ratios.numel() - 1)
    nearer_below = (ratio - ratios[at - 1]) <= (ratios[at] - ratio)
    return shapes[at - nearer_below.long()]


@dataclass(frozen=True)
class BrisqueModel:
    """A trained support vector regressor with a radial kernel, and the ranges its features are scaled by.

    support (S, 36), weights (S,), low and high (36,): feature ranges mapped to [-1, 1]. Scores: 0 = best,
    about 100 = worst.
    """

    name: str
    support: Tensor
    weights: Tensor
    gamma: float
    rho: float
    low: Tensor
    high: Tensor

    @classmethod
    def load(cls, model: Path, ranges: Path) -> BrisqueModel:
        """Read the two text files of the LIVE release ("allmodel", "allrange", LIBSVM format).

        ModelError if unreadable.
        """
        try:
            header, rows = model.read_text().split("SV\n", 1)
            fields = dict(line.split(maxsplit=1) for line in header.splitlines() if line.strip())
            vectors = [_sparse(line.split()) for line in rows.splitlines() if line.strip()]
            limits = [line.split() for line in ranges.read_text().splitlines()[2:] if line.strip()]
            if fields["kernel_type"] != "rbf" or len(limits) != FEATURES:
                raise ValueError("not a radial kernel over 36 features")
            return cls(
                name=model.name,
                support=torch.stack([vector for _, vector in vectors]),
                weights=torch.tensor([weight for weight, _ in vectors], dtype=torch.float64),
                gamma=float(fields["gamma"]),
                rho=float(fields["rho"]),
                low=torch.tensor([float(limit[1]) for limit in limits], dtype=torch.float64),
                high=torch.tensor([float(limit[2]) for limit in limits], dtype=torch.float64),
            )
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise ModelError(
                f"Cannot read the BRISQUE model {model.name}: {error}.",
                "Give 'allmodel' and 'allrange' of the LIVE release, or neither: the report then prints "
                "a distance to natural photos under its own name.",
            ) from error

    def score(self, features: Tensor) -> Tensor:
        """(B, 36) -> (B,), lower is better."""
        scaled = 2 * (features - self.low) / (self.high - self.low) - 1
        kernel = torch.exp(-self.gamma * torch.cdist(scaled, self.support).square())
        return kernel @ self.weights - self.rho


def _sparse(cells: list[str]) -> tuple[float, Tensor]:
    vector = torch.zeros(FEATURES, dtype=torch.float64)
    for cell in cells[1:]:
        index, value = cell.split(":")
        vector[int(index) - 1] = float(value)
    return float(cells[0]), vector


def brisque(pictures: Tensor, model: BrisqueModel) -> Tensor:
    """(B, 3, H, W) in [-1, 1] -> (B,), lower is better."""
    return model.score(brisque_features(pictures))

"""AdaFace's IR (Kim et al. 2022): an extra BatchNorm before each PReLU; returns the direction and the length.

Key names are those of the published files (without their Lightning prefix): `input_layer.0`,
`body.N.res_layer.M`, `output_layer.3`. The extra BatchNorm shifts M, so these files do not load as `ir`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor

from visard.faces.architectures.ir import ResidualNetwork, ResidualUnit, Shape

if TYPE_CHECKING:
    from typing_extensions import Unpack

IR18_UNITS = (2, 2, 2, 2)
IR50_UNITS = (3, 4, 14, 3)
IR101_UNITS = (3, 13, 30, 3)


class AdaFaceIR(ResidualNetwork):
    """(B, 3, S, S) -> unit embedding (B, D) and its former length (B, 1), AdaFace's picture quality.

    S must be divisible by the total stride. The defaults are IR-50.
    """

    def __init__(
        self, *, units: Sequence[int] = IR50_UNITS, dropout: float = 0.4, **shape: Unpack[Shape]
    ) -> None:
        unit = partial(ResidualUnit, inner_norm=True)
        super().__init__(unit, units=units, dropout=dropout, affine=False, **shape)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        raw = self.embedding(x)
        norm = raw.norm(dim=1, keepdim=True).clamp_min(1e-12)
        return raw / norm, norm

"""A small convolutional net with named linear heads, for attributes, pose, gaze and expression."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn


class Regressor(nn.Module):
    """(B, 3, S, S) -> {head: (B, outputs)}, raw; `visard.faces.regressor` says what a head's numbers mean."""

    def __init__(
        self,
        *,
        heads: Mapping[str, int],
        widths: Sequence[int] = (16, 32, 64, 128),
        units: Sequence[int] = (1, 2, 2, 2),
        dropout: float = 0.1,
        pool: int = 2,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for width, count in zip(widths, units, strict=True):
            for index in range(count):
                layers += [
                    nn.Conv2d(inputs, width, 3, 2 if index == 0 else 1, 1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(inplace=True),
                ]
                inputs = width
        self.body = nn.Sequential(*layers)
        # 2 x 2 keeps left apart from right, which pose and gaze need; landmarks need more
        self.pool = nn.AdaptiveAvgPool2d(pool)
        self.dropout = nn.Dropout(dropout)
        features = pool * pool * inputs
        self.heads = nn.ModuleDict({name: nn.Linear(features, outputs) for name, outputs in heads.items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.dropout(self.pool(self.body(x)).flatten(1))
        return {name: head(features) for name, head in self.heads.items()}

"""SER-FIQ as an audit wants it: of pictures and landmarks, by a judge that has dropout."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Generator, Tensor

from visard.faces.alignment import align
from visard.faces.quality import Forgetful, agreement
from visard.faces.recognizer import Recognizer

PASSES = 100


class SerFiq:
    """Scores faces by one recogniser, on the scale 2 sigmoid(-d): the other has constants of one backbone."""

    def __init__(self, recognizer: Recognizer, passes: int = PASSES) -> None:
        self.recognizer = recognizer
        self.passes = passes
        self.name = f"{recognizer.name}, {passes} passes, 2 sigmoid(−d)"

    @classmethod
    def by_one_of(cls, recognizers: Sequence[Recognizer]) -> SerFiq | None:
        """By the first that can forget; None if none of them has dropout."""
        for each in recognizers:
            if isinstance(each.network, Forgetful) and each.network.dropout_rate > 0:
                return cls(each)
        return None

    def score_faces(self, images: Tensor, landmarks: Tensor, generator: Generator) -> Tensor:
        """Pictures (B, 3, H, W) in [-1, 1], landmarks (B, 5, 2) in px -> (B,) in (0, 1]."""
        crops = align(images, landmarks, self.recognizer.spec.size, self.recognizer.target)
        return agreement(self.recognizer, crops, generator, self.passes)

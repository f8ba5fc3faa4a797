"""SER-FIQ in an audit: the first judge that can forget, aligned crops, the scale without constants."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from visard.audit.serfiq import SerFiq
from visard.faces.alignment import align, template
from visard.faces.quality import agreement
from visard.faces.recognizer import InputSpec, Recognizer


class Means(nn.Module):
    """Channel means of quarters of the crop, with dropout."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.dropout_rate = rate

    def trunk(self, x: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)

    def readout(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.trunk(x))


def recognizer(name: str, rate: float) -> Recognizer:
    return Recognizer(Means(rate), name=name, family="test", spec=InputSpec(16))


def test_the_first_judge_that_can_forget_scores_aligned_faces() -> None:
    judges = [recognizer("sure", 0.0), recognizer("forgetful", 0.3)]
    scorer = SerFiq.by_one_of(judges)
    assert scorer is not None
    assert scorer.name == "forgetful, 100 passes, 2 sigmoid(−d)"
    pictures = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0)) * 2 - 1
    landmarks = (template(16) * 1.5 + 6).expand(2, 5, 2)
    scores = scorer.score_faces(pictures, landmarks, torch.Generator().manual_seed(1))
    crops = align(pictures, landmarks, 16, template(16))
    torch.testing.assert_close(scores, agreement(judges[1], crops, torch.Generator().manual_seed(1), 100))
    assert ((scores > 0) & (scores < 1)).all()


def test_without_dropout_there_is_no_score() -> None:
    assert SerFiq.by_one_of([recognizer("sure", 0.0)]) is None
    assert SerFiq.by_one_of([]) is None

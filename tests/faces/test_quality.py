"""SER-FIQ: the published formula, the backbone once, and a refusal where there is no dropout."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from visard.errors import ModelError
from visard.faces.architectures.reduced import REDUCED
from visard.faces.quality import agreement
from visard.faces.recognizer import InputSpec, Recognizer


class Linear(nn.Module):
    """Dropout and an identity readout over the channel means; counts how often its backbone runs."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.dropout_rate = rate
        self.runs = 0

    def trunk(self, x: Tensor) -> Tensor:
        self.runs += 1
        return x.mean((2, 3))

    def readout(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.trunk(x))


def recognizer(rate: float = 0.5) -> Recognizer:
    return Recognizer(Linear(rate), name="linear", family="test", spec=InputSpec(4))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def colour(*levels: float) -> Tensor:
    return torch.tensor(levels)[None, :, None, None].expand(1, 3, 4, 4)


def test_the_formula_by_hand() -> None:
    # One channel alone: under dropout its embedding is the unit vector or nothing, at distance 1 or 0.
    reader, crops = recognizer(), colour(1.0, 0.0, 0.0)
    kept = int((torch.rand((100, 3), generator=seeded()) < 0.5)[:, 0].sum())
    distance = kept * (100 - kept) / (100 * 99 / 2)
    s = 2 / (1 + math.exp(distance))
    assert float(agreement(reader, crops, seeded())) == pytest.approx(s, abs=1e-5)


def test_the_backbone_runs_once_for_a_whole_batch() -> None:
    reader = recognizer()
    reader.network.runs = 0  # type: ignore[assignment]
    agreement(reader, torch.rand(3, 3, 4, 4), seeded(), passes=7)
    assert reader.network.runs == 1


def test_a_batch_is_scored_as_its_pictures_are_one_by_one() -> None:
    crops, generator = torch.rand(3, 3, 4, 4), seeded()
    together = agreement(recognizer(), crops, seeded(), passes=20)
    alone = torch.cat([agreement(recognizer(), crop[None], generator, passes=20) for crop in crops])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("name", ["irse", "ir", "facenet", "arcface", "adaface", "magface"])
def test_networks_with_dropout_split_where_it_is(name: str) -> None:
    torch.manual_seed(0)
    member = REDUCED[name]
    network = member.build().eval()
    crops = torch.rand(2, 3, member.input_size, member.input_size) * 2 - 1
    output = network(crops)
    whole = output[0] * output[1] if isinstance(output, tuple) else output
    torch.testing.assert_close(network.readout(network.trunk(crops)), whole)
    assert network.dropout_rate == member.config["dropout"]
    reader = Recognizer(network, name=name, family="test", spec=InputSpec(member.input_size))
    scores = agreement(reader, crops, seeded(), passes=5)
    assert scores.shape == (2,)
    assert bool(((scores > 0) & (scores < 1)).all())


@pytest.mark.parametrize("name", ["mobileface", "elasticface"])
def test_networks_without_dropout_are_refused_by_name(name: str) -> None:
    member = REDUCED[name]
    reader = Recognizer(member.build(), name=name, family="test", spec=InputSpec(member.input_size))
    with pytest.raises(ModelError, match=f"{name} has no dropout"):
        agreement(reader, torch.zeros(1, 3, member.input_size, member.input_size), seeded())


def test_a_dropout_of_nothing_is_none() -> None:
    with pytest.raises(ModelError, match="no dropout"):
        agreement(recognizer(0.0), colour(1, 0, 0), seeded())


def test_one_pass_agrees_with_nobody() -> None:
    with pytest.raises(ValueError, match="two passes"):
        agreement(recognizer(), colour(1, 0, 0), seeded(), passes=1)

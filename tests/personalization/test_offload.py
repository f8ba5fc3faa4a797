"""Networks that wait elsewhere: nothing that is away is ever used, and all are back in the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from personalization.fakes import recognizer
from personalization.runs import SETTINGS, same, start, weights
from visard.diffusion.backbone import Backbone
from visard.personalization import offload
from visard.personalization.offload import Offload, Phase
from visard.personalization.settings import PreviewSettings

GPU = torch.device("meta")  # stands for another device than the one networks wait on


class Places:
    """Where networks lie; one that waits raises when it is used."""

    def __init__(self) -> None:
        self.away: dict[nn.Module, Any] = {}
        self.moves = 0

    def move(self, network: nn.Module, device: torch.device) -> None:
        self.moves += 1
        if network in self.away:
            self.away.pop(network).remove()
        else:
            self.away[network] = network.register_forward_pre_hook(self.refuse)

    @staticmethod
    def refuse(network: nn.Module, _: Any) -> None:
        raise AssertionError(f"{type(network).__name__} is used while it waits")


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Places:
    places = Places()
    monkeypatch.setattr(offload, "move", places.move)
    return places


@pytest.mark.parametrize(
    "changes", [{}, {"train_text_encoder": False}, {"method": "lora"}, {"defence": "none"}]
)
def test_what_waits_is_never_used_in_a_run(
    tmp_path: Path,
    fresh: Callable[[], Backbone],
    cache: Path,
    places: Places,
    changes: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = replace(SETTINGS, previews=PreviewSettings(count=1, sampler_steps=1), **changes)
    plain = start(tmp_path / "plain", fresh(), cache, settings)
    assert places.moves == 0
    # `encode` and `decode` of an autoencoder do not pass through its hooks.
    backbone = fresh()
    for name in ("encode", "decode"):
        monkeypatch.setattr(backbone, name, watched(backbone, name, places))
    surrogates = [recognizer(0), recognizer(1)]
    moved = start(tmp_path / "moved", backbone, cache, replace(settings, offload=True), surrogates=surrogates)
    assert same(weights(plain), weights(moved))
    again = settings.defence == "iddm"  # X' is encoded again after every change
    assert places.moves > 4 if again else places.moves == 4
    assert not places.away


def watched(backbone: Backbone, name: str, places: Places) -> Callable[[torch.Tensor], Any]:
    plain = getattr(backbone, name)

    def call(pictures: torch.Tensor) -> Any:
        assert backbone.vae not in places.away
        return plain(pictures)

    return call


def test_only_what_changes_place_is_moved(places: Places) -> None:
    one, two, three = nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1)
    enter = Offload({Phase.WORDS: [one], Phase.PICTURES: [one, two], Phase.SAMPLING: [three]}, GPU)
    enter(Phase.WORDS)
    assert places.away.keys() == {two, three}
    enter(Phase.PICTURES)
    assert places.away.keys() == {three}
    enter(Phase.PICTURES)
    assert places.moves == 3
    enter(Phase.SAMPLING)
    assert places.away.keys() == {one, two}
    enter.close()
    enter.close()
    assert (places.moves, len(places.away)) == (8, 0)


def test_parameters_stay_the_same_objects_when_they_move() -> None:
    network = nn.Linear(2, 2)
    weight = network.weight
    offload.move(network, torch.device("cpu"))
    assert network.weight is weight

"""The optimisers: the one that is named, restored exactly, and how close 8 bits come."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from visard.errors import ModelError
from visard.personalization.optimizers import build_optimizer, optimizer_state, restore_optimizer
from visard.personalization.settings import FineTuningSettings, Optimizer

EIGHT_BIT: list[Optimizer] = ["adamw_8bit", "paged_adamw_8bit"]


def parameters() -> dict[str, nn.Parameter]:
    """One large enough for 8 bits, laid out as a GPU's convolutions are; and one that is not."""
    generator = torch.Generator().manual_seed(0)
    large = torch.randn(32, 32, 3, 3, generator=generator).to(memory_format=torch.channels_last)
    return {"large": nn.Parameter(large), "small": nn.Parameter(torch.randn(5, generator=generator))}


def train(optimizer: torch.optim.Optimizer, weights: Mapping[str, nn.Parameter], steps: range) -> None:
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        for each in weights.values():
            each.grad = torch.empty_like(each).copy_(torch.randn(each.shape, generator=generator))
        optimizer.step()


def settings(optimizer: Optimizer) -> FineTuningSettings:
    return FineTuningSettings(optimizer=optimizer)


@pytest.mark.parametrize(
    "name", ["adamw", *(pytest.param(each, marks=pytest.mark.bitsandbytes) for each in EIGHT_BIT)]
)
def test_a_restored_optimizer_continues_bit_for_bit(name: Optimizer) -> None:
    whole = parameters()
    optimizer = build_optimizer(whole, settings(name), 1e-3)
    train(optimizer, whole, range(3))
    state = {key: value.clone().contiguous() for key, value in optimizer_state(optimizer, whole).items()}
    resumed = {key: nn.Parameter(value.detach().clone()) for key, value in whole.items()}
    other = build_optimizer(resumed, settings(name), 1e-3)
    restore_optimizer(other, resumed, state)
    train(optimizer, whole, range(3, 6))
    train(other, resumed, range(3, 6))
    assert all(torch.equal(value, resumed[key]) for key, value in whole.items())
    assert optimizer_state(other, resumed).keys() == state.keys()


@pytest.mark.bitsandbytes
def test_moments_of_eight_bits_take_a_quarter_and_go_nearly_the_same_way() -> None:
    exact, coarse = parameters(), parameters()
    start = exact["large"].detach().clone()
    one, other = (
        build_optimizer(exact, settings("adamw"), 1e-3),
        build_optimizer(coarse, settings("adamw_8bit"), 1e-3),
    )
    train(one, exact, range(8))
    train(other, coarse, range(8))
    taken = [_bytes(optimizer_state(*each)) for each in ((one, exact), (other, coarse))]
    assert taken[1] < 0.27 * taken[0]
    moved = exact["large"] - start
    assert (coarse["large"] - exact["large"]).norm() < 0.1 * moved.norm()


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ModelError, match=r"visard\[memory\]"):
        build_optimizer(parameters(), settings("adamw_8bit"), 1e-3)


def _bytes(state: Mapping[str, Tensor]) -> int:
    return sum(each.numel() * each.element_size() for key, each in state.items() if key.startswith("large"))

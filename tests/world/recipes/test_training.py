"""The training loop: the same last bit however often it stops, budgets, averaged weights, errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from visard.errors import TrainingError
from visard.world.recipes.training import Batches, Clock, Trained, one_cycle, ramp, seeded, train


def small_net(seed: int = 0) -> nn.Module:
    return seeded(
        seed,
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1),
            nn.BatchNorm2d(8),
            nn.PReLU(8),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(128, 2),
        ),
    )


def fit(net: nn.Module, file: Path, *, stop_after: int | None = None, **options: object) -> Trained:
    """Tell bright pictures from dark ones; `stop_after` breaks off inside that step as Ctrl-C does."""

    def step(clock: Clock) -> tuple[torch.Tensor, dict[str, float]]:
        if stop_after is not None and clock.step >= stop_after:
            raise KeyboardInterrupt
        labels = torch.randint(0, 2, (16,), generator=clock.generator)
        pictures = torch.randn(16, 3, 8, 8, generator=clock.generator) + labels.view(-1, 1, 1, 1)
        return nn.functional.cross_entropy(net(pictures).float(), labels), {"spent": clock.spent}

    arguments: dict[str, object] = {"lr": 3e-3, "seed": 3, "steps": 24, "state_file": file, **options}
    return train(step, {"net": net}, **arguments)  # type: ignore[arg-type]


def weights(net: nn.Module) -> torch.Tensor:
    return torch.cat([tensor.flatten().float() for tensor in net.state_dict().values()])


def test_an_interrupted_training_ends_at_the_same_last_bit(tmp_path: Path) -> None:
    whole = small_net()
    fit(whole, tmp_path / "whole")
    first = small_net()
    with pytest.raises(KeyboardInterrupt):
        fit(first, tmp_path / "parts", stop_after=10, save_seconds=0.0)
    torch.rand(5)  # the surrounding program's own use of chance must not matter
    second = small_net(seed=9)
    fit(second, tmp_path / "parts")
    assert torch.equal(weights(whole), weights(second))


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    net = small_net()
    done = fit(net, tmp_path / "state")
    again = small_net(seed=5)
    assert fit(again, tmp_path / "state") == done
    assert torch.equal(weights(net), weights(again))


def test_the_loss_falls_and_the_surroundings_keep_their_chance(tmp_path: Path) -> None:
    losses: list[float] = []

    def note(stage: str, done: int, total: int, **figures: float) -> None:
        losses.append(figures["loss"])

    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    fit(small_net(), tmp_path / "state", steps=60, log_every=10, progress=note)
    assert torch.equal(torch.rand(3), expected)
    assert losses[-1] < 0.7 * losses[0]


def test_a_budget_in_minutes_ends_and_adds_its_sittings_up(tmp_path: Path) -> None:
    first = fit(small_net(), tmp_path / "state", steps=None, minutes=0.003)
    second = fit(small_net(), tmp_path / "state", steps=None, minutes=0.006)
    assert second.steps > first.steps
    assert second.seconds >= 0.36 > first.seconds * 0.9


@pytest.mark.parametrize("budget", [{"steps": None}, {"minutes": 1.0}])
def test_a_budget_is_minutes_or_steps(tmp_path: Path, budget: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="minutes or in steps"):
        fit(small_net(), tmp_path / "state", **budget)


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_good_state(tmp_path: Path) -> None:
    file, net = tmp_path / "state", nn.Linear(2, 1)

    def step(clock: Clock) -> tuple[torch.Tensor, dict[str, float]]:
        loss = net(torch.ones(1, 2)).sum()
        return (loss * float("nan") if clock.step >= 4 else loss), {}

    with pytest.raises(TrainingError, match="not a finite number"):
        train(step, {"net": net}, lr=1e-3, seed=0, steps=8, state_file=file, save_seconds=0.0)
    healthy = nn.Linear(2, 1)
    train(
        lambda clock: (healthy(torch.ones(1, 2)).sum(), {}),
        {"net": healthy},
        lr=1e-3,
        seed=0,
        steps=8,
        state_file=file,
    )
    assert torch.isfinite(weights(healthy)).all()


def test_the_state_of_another_training_is_refused(tmp_path: Path) -> None:
    fit(small_net(), tmp_path / "state", steps=2)
    with pytest.raises(TrainingError, match="another training"):
        fit(small_net(), tmp_path / "state", seed=4)


def test_an_epoch_shows_every_sample_once() -> None:
    batches = Batches(12, 4, seed=0)
    first, second = (torch.cat([batches(step) for step in range(start, start + 3)]) for start in (0, 3))
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(12))
    assert first.tolist() != second.tolist()
    assert torch.equal(Batches(12, 4, seed=0)(4), batches(4))


def test_the_rate_rises_then_falls_to_nothing() -> None:
    rates = [one_cycle(spent / 100, 0.1) for spent in range(101)]
    assert max(rates) == rates[10] == 1
    assert rates[100] == pytest.approx(0, abs=1e-12)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert [ramp(spent, 0.2, 0.6) for spent in (0.1, 0.4, 0.9)] == [0, pytest.approx(0.5), 1]

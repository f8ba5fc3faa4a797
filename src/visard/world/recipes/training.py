"""The training loop every recipe shares: a budget, averaged weights, resumable to the last bit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from visard.errors import TrainingError
from visard.progress import Progress, silent
from visard.storage import load_tensors, save_tensors


@dataclass(frozen=True)
class Clock:
    """Where a training stands: steps done, share of the budget spent in [0, 1), and the stream of chance."""

    step: int
    spent: float
    generator: torch.Generator


T = TypeVar("T")
Figures = Mapping[str, Tensor | float]
StepFunction = Callable[[Clock], tuple[Tensor, Figures]]
"""One step: the scalar loss to descend, and figures worth logging beside it."""


@dataclass(frozen=True)
class Trained:
    """What a training cost, all sittings together, and its last logged figures."""

    steps: int
    seconds: float
    figures: dict[str, float]


def train(
    step: StepFunction,
    modules: Mapping[str, nn.Module],
    *,
    lr: float,
    seed: int,
    state_file: Path,
    minutes: float | None = None,
    steps: int | None = None,
    batch: int = 1,
    weight_decay: float = 0.01,
    betas: tuple[float, float] = (0.9, 0.99),
    warmup: float = 0.05,
    clip: float = 1.0,
    ema: float = 0.995,
    bf16: bool = True,
    layout: torch.memory_format = torch.channels_last,
    device: torch.device | str = "cpu",
    stage: str = "training",
    log_every: int = 50,
    save_seconds: float = 60.0,
    progress: Progress = silent,
) -> Trained:
    """Descend `step` over `modules` with AdamW, a warm-up and a cosine; they end with the averaged weights.

    Exactly one of `minutes` and `steps` is given. A run in steps is the same to the last bit however often it
    was interrupted; a run in minutes takes as many steps as the machine manages, its sittings added up.
    Trains in bfloat16 autocast unless `bf16` is off; `batch` only scales the logged throughput. `layout` is
    what makes bfloat16 convolutions fast: channels last for recognisers, contiguous for a UNet on a CPU.
    Raises TrainingError when the loss stops being finite or the state file belongs to another training.
    """
    budget = _Budget(minutes, steps)
    device = torch.device(device)
    for module in modules.values():
        module.to(device=device, memory_format=layout).train()  # type: ignore[call-overload]
    state = _State(modules, seed=seed, lr=lr, weight_decay=weight_decay, betas=betas)

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)  # dropout draws from the global stream: forked here, kept in the state file
        if state_file.exists():
            state.load(state_file)
        log = _Log(stage, budget, state, batch, progress)
        sitting = time.monotonic() - state.seconds
        saved = time.monotonic()
        changed = False
        while (spent := budget.spent(state)) < 1:
            for group in state.optimizer.param_groups:
                group["lr"] = lr * one_cycle(spent, warmup)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                loss, figures = step(Clock(state.step, spent, state.generator))
            state.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(list(state.parameters.values()), clip)
            state.optimizer.step()
            state.average(ema)
            state.step += 1
            state.seconds = time.monotonic() - sitting
            changed = True
            log.add({"loss": loss, **figures})
            if state.step % log_every == 0:
                log.write()
            if time.monotonic() - saved > save_seconds:
                log.settle()  # a state whose loss is not a number is never written over a good one
                state.save(state_file)
                saved = time.monotonic()
        if changed:
            log.settle()
            state.save(state_file)
    state.use_average()
    return Trained(state.step, state.seconds, state.figures)


def one_cycle(spent: float, warmup: float) -> float:
    """The learning rate's factor: linearly up over the first `warmup` of the budget, a half cosine after."""
    if spent < warmup:
        return 0.02 + 0.98 * spent / warmup
    return 0.5 * (1 + math.cos(math.pi * (spent - warmup) / (1 - warmup)))


def ramp(spent: float, start: float, end: float) -> float:
    """0 before `start`, 1 after `end`, linear between (shares of the budget): how margins are brought in."""
    return min(max((spent - start) / (end - start), 0.0), 1.0)


def seeded(seed: int, build: Callable[[], T]) -> T:
    """Call `build` with the global stream seeded, and put that stream back: weights follow the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


class Batches:
    """Which of `count` samples a step sees: each epoch its own order, a function of seed and step alone."""

    def __init__(self, count: int, batch: int, seed: int) -> None:
        self.count, self.batch, self.seed = count, min(batch, count), seed
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def __call__(self, step: int) -> Tensor:
        """(batch,) indices, without repetition inside an epoch; the remainder of an epoch is dropped."""
        per_epoch = self.count // self.batch
        epoch, position = divmod(step, per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            self._epoch, self._order = epoch, torch.randperm(self.count, generator=generator)
        return self._order[position * self.batch : (position + 1) * self.batch]


@dataclass(frozen=True)
class _Budget:
    """Minutes or steps, and how much of them a state has used."""

    minutes: float | None
    steps: int | None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise ValueError("a training's budget is given in minutes or in steps, one of them")

    def measure(self, state: _State) -> tuple[float, float]:
        """Done and total, in seconds or steps."""
        if self.minutes is not None:
            return state.seconds, 60 * self.minutes
        assert self.steps is not None
        return state.step, self.steps

    def spent(self, state: _State) -> float:
        done, total = self.measure(state)
        return done / total if total > 0 else 1.0


@dataclass
class _State:
    """Everything a training needs to go on to the same last bit."""

    modules: Mapping[str, nn.Module]
    seed: int
    lr: float
    weight_decay: float
    betas: tuple[float, float]
    step: int = 0
    seconds: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = [(f"{name}.{key}", p) for name, m in self.modules.items() for key, p in m.named_parameters()]
        self.parameters = {name: p for name, p in named if p.requires_grad}
        self.live = {f"{n}.{k}": t for n, m in self.modules.items() for k, t in m.state_dict().items()}
        self.ema = {name: t.detach().clone() for name, t in self.live.items() if t.is_floating_point()}
        # Biases, norms and slopes are not decayed: pulling them to zero is not regularisation.
        matrices = [p for p in self.parameters.values() if p.ndim > 1]
        others = [p for p in self.parameters.values() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": self.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=self.lr,
            betas=self.betas,
            fused=True,
        )
        self.generator = torch.Generator().manual_seed(self.seed)
        self.device = next(iter(self.live.values())).device

    def average(self, decay: float) -> None:
        """Move the averaged weights (and BatchNorm's averages with them) towards the live ones."""
        decay = min(decay, (1 + self.step) / (10 + self.step))  # the first steps are not worth remembering
        torch._foreach_lerp_(list(self.ema.values()), [self.live[name] for name in self.ema], 1 - decay)

    def use_average(self) -> None:
        for name, tensor in self.ema.items():
            self.live[name].copy_(tensor)

    def save(self, file: Path) -> None:
        tensors = {f"live/{name}": tensor for name, tensor in self.live.items()}
        tensors |= {f"ema/{name}": tensor for name, tensor in self.ema.items()}
        for name, parameter in self.parameters.items():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer/{name}/{key}"] = value
        tensors["generator"] = self.generator.get_state()
        tensors["global"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["cuda"] = torch.cuda.get_rng_state(self.device)
        meta = {"seed": self.seed, "step": self.step, "seconds": self.seconds, "figures": self.figures}
        save_tensors(file, tensors, meta)

    def load(self, file: Path) -> None:
        tensors, meta = load_tensors(file)
        mine = {f"live/{name}": tuple(tensor.shape) for name, tensor in self.live.items()}
        theirs = {name: tuple(tensor.shape) for name, tensor in tensors.items() if name.startswith("live/")}
        if mine != theirs or meta.get("seed") != self.seed:
            raise TrainingError(
                f"{file} holds the state of another training (other modules or another seed).",
                "Give the same settings as then, or delete the file to start over.",
            )
        for name, tensor in self.live.items():
            tensor.copy_(tensors[f"live/{name}"])
        for name, tensor in self.ema.items():
            tensor.copy_(tensors[f"ema/{name}"])
        for name, parameter in self.parameters.items():
            prefix = f"optimizer/{name}/"
            found = {
                key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
            }
            if found:
                # Moments keep the layout of the weight they belong to; `step` is a scalar on its device.
                self.optimizer.state[parameter] = {
                    key: torch.empty_like(parameter).copy_(value)
                    if value.shape == parameter.shape
                    else value.to(self.device)
                    for key, value in found.items()
                }
        self.generator.set_state(tensors["generator"])
        torch.set_rng_state(tensors["global"])
        if self.device.type == "cuda" and "cuda" in tensors:
            torch.cuda.set_rng_state(tensors["cuda"], self.device)
        self.step, self.seconds, self.figures = meta["step"], meta["seconds"], meta["figures"]


class _Log:
    """Means of the figures since the last line, throughput, time left; notices a loss that is no number."""

    def __init__(self, stage: str, budget: _Budget, state: _State, batch: int, progress: Progress) -> None:
        self.stage, self.budget, self.state, self.batch, self.progress = stage, budget, state, batch, progress
        self.sums: dict[str, Tensor | float] = {}
        self.count = 0
        self.mark = (time.monotonic(), state.step)

    def add(self, figures: Figures) -> None:
        self.count += 1
        for name, value in figures.items():
            value = value.detach().float() if isinstance(value, Tensor) else value
            self.sums[name] = self.sums.get(name, 0.0) + value

    def settle(self) -> None:
        """Turn the sums into the state's figures. Raises TrainingError when the loss is not finite."""
        if self.count == 0:
            return
        self.state.figures = {name: float(value) / self.count for name, value in self.sums.items()}
        self.sums, self.count = {}, 0
        if not math.isfinite(self.state.figures["loss"]):
            raise TrainingError(
                f"{self.stage}: the loss is not a finite number near step {self.state.step}.",
                "Start again with a smaller learning rate; the last saved state is kept.",
            )

    def write(self) -> None:
        self.settle()
        now, state = time.monotonic(), self.state
        rate = (state.step - self.mark[1]) / max(now - self.mark[0], 1e-9)
        self.mark = (now, state.step)
        done, total = self.budget.measure(state)
        left = (total - done) / (1.0 if self.budget.minutes is not None else rate)
        self.progress(
            self.stage,
            int(done),
            int(total),
            step=state.step,
            **state.figures,
            per_second=rate * self.batch,
            seconds_left=max(left, 0.0),
        )

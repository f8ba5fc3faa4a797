"""What a personalisation run costs: time and peak memory of every stage, with few steps of each kind."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from visard.benchmark.memory import Peak, peak_memory
from visard.images import center_crop, read_folder, to_tensor
from visard.kits import Kit
from visard.personalization import personalize
from visard.personalization.decoupling import Stage
from visard.personalization.iddm import Call, Move, plan
from visard.personalization.settings import PersonalizationSettings
from visard.progress import Progress, silent

LOADING = "loading"
NAMES: dict[Call | Stage, str] = {
    Call.REFERENCE: "fine-tuning step, X_c",
    Call.PROTECTED: "fine-tuning step, X'",  # after Stage I and II: it begins with encoding X' anew
    Stage.FIDELITY: "Stage I step",
    Stage.IDENTITY: "Stage II step",
    Stage.JOINT: "joint step",
}


@dataclass(frozen=True)
class StageCost:
    """One stage of a run: how often, mean seconds each, and peak memory in bytes (`device`: of a GPU)."""

    stage: str
    count: int
    seconds: float
    resident: int
    device: int


@dataclass(frozen=True)
class RunCost:
    """What a whole run took, and on what."""

    parameters: dict[str, int]
    """Of each network, in numbers."""
    resolution: int
    photos: int
    device: str
    threads: int
    precision: str
    method: str
    stages: list[StageCost]
    seconds: float
    resident: int
    """Peak of the whole run, in bytes."""


def few_steps(
    kit: Kit, *, rounds: int, method: str, precision: str, sampler_steps: int = 2
) -> PersonalizationSettings:
    """A kit's settings cut down to one step of each kind a round, in as little memory as a run can take."""
    changes: dict[str, Any] = {
        "method": method,
        "save_memory": True,
        "fine_tuning": {"steps": 2 * rounds, "batch": 1, "class_batch": 1, "precision": precision},
        "prior": {"count": 1, "sampler_steps": sampler_steps, "batch": 1},
        "decoupling": {"rounds": rounds, "pgd_steps": 2, "rho": 0.5, "draws": 1, "micro_batch": 1},
        "previews": {"count": 0},
        "output": {"checkpoint_every": 0.0},
    }
    return PersonalizationSettings().with_preset(kit.personalization).with_preset(changes)


def measure(
    settings: PersonalizationSettings,
    photos: str | Path,
    kit: Kit,
    base: str | Path | None = None,
    *,
    progress: Progress = silent,
) -> RunCost:
    """Personalise to the folder `photos` in a folder that is thrown away; what every stage took.

    Raises InputError, ModelError, StorageError, TrainingError.
    """
    pictures = read_folder(photos)
    with tempfile.TemporaryDirectory(prefix="visard-") as scratch, peak_memory(kit.device) as memory:
        started = time.perf_counter()
        meter = Meter(plan(settings.decoupling, settings.fine_tuning.steps, defended=True), memory, progress)
        backbone = kit.backbone(base)
        surrogates, detector = kit.surrogates(), kit.detector()
        parameters = {
            name: sum(each.numel() for each in network.parameters())
            for name, network in backbone.networks.items()
        }
        meter(LOADING, 1, 1)
        personalize.run(
            settings,
            torch.stack([to_tensor(center_crop(photo.image, backbone.resolution)) for photo in pictures]),
            backbone,
            surrogates,
            detector,
            folder=Path(scratch) / "run",
            cache=Path(scratch) / "cache",
            progress=meter,
        )
        seconds = time.perf_counter() - started
    stages = meter.costs()
    return RunCost(
        parameters=parameters,
        resolution=backbone.resolution,
        photos=len(pictures),
        device=str(backbone.device),
        threads=torch.get_num_threads(),
        precision=settings.fine_tuning.precision,
        method=settings.method,
        stages=stages,
        seconds=seconds,
        resident=max(each.resident for each in stages),
    )


class Meter:
    """A Progress that books the time and the peak memory since its last call under the stage that ended.

    `moves` is the run's plan, to tell its steps apart; `memory()` returns the peaks since its last call.
    """

    def __init__(
        self,
        moves: Sequence[Move],
        memory: Callable[[], Peak],
        progress: Progress = silent,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.moves, self.memory, self.progress, self.clock = moves, memory, progress, clock
        self._spent: dict[str, list[float]] = {}
        self._peaks: dict[str, Peak] = {}
        self._last = clock()

    def __call__(self, stage: str, done: int, total: int, **figures: float) -> None:
        name = NAMES[self.moves[done - 1].kind] if stage == personalize.STAGE else stage
        peak = self.memory()  # before the clock: on a GPU it waits for what was begun
        now = self.clock()
        self._spent.setdefault(name, []).append(now - self._last)
        self._peaks[name] = self._peaks.get(name, peak).higher(peak)
        self.progress(stage, done, total, **figures)
        self._last = self.clock()

    def costs(self) -> list[StageCost]:
        """Every stage in the order of its first end."""
        return [
            StageCost(name, len(spent), sum(spent) / len(spent), peak.resident, peak.device)
            for (name, spent), peak in zip(self._spent.items(), self._peaks.values(), strict=True)
        ]

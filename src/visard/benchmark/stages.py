"""What a personalisation run costs, stage by stage, with few steps of each kind, beside the plain version."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visard.benchmark import plain
from visard.benchmark.memory import Peak, device_name, peak_memory, release
from visard.errors import InputError, is_out_of_memory
from visard.images import Photo, read_folder, stacked
from visard.kits import Kit
from visard.personalization import memory_plans, personalize
from visard.personalization.decoupling import Stage
from visard.personalization.iddm import Call, Move, plan
from visard.personalization.settings import PersonalizationSettings
from visard.progress import Progress, silent

LOADING = "loading"
PLAIN_NETWORKS = 3
"""Autoencoder, UNet and one text encoder."""
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

    @property
    def memory(self) -> int:
        """The peak where the networks are."""
        return self.device or self.resident


@dataclass(frozen=True)
class RunCost:
    """What a whole run took."""

    stages: list[StageCost]
    seconds: float
    resident: int
    """Peak of the whole run, in bytes."""
    device: int
    """The same of a GPU."""
    failed: str = ""
    """Why it did not come to its end."""


@dataclass(frozen=True)
class Comparison:
    """A run of ours, on what it was made, and the same run written plainly."""

    parameters: dict[str, int]
    """Of each network, in numbers."""
    resolution: int
    photos: int
    batch: int
    device: str
    device_name: str
    threads: int
    precision: str
    method: str
    memory: str
    """Name of the memory plan."""
    ours: RunCost
    plain: RunCost | None
    """None when it was not asked for."""

    def ratios(self) -> dict[str, tuple[float, float]]:
        """Plain over ours, of the stages that both have: in time, and in peak memory of the device."""
        theirs = {each.stage: each for each in self.plain.stages} if self.plain is not None else {}
        return {
            each.stage: (
                theirs[each.stage].seconds / each.seconds,
                theirs[each.stage].memory / max(1, each.memory),
            )
            for each in self.ours.stages
            if each.stage in theirs
        }


def few_steps(
    kit: Kit, *, rounds: int, method: str, precision: str, sampler_steps: int = 2, batch: int = 1
) -> PersonalizationSettings:
    """A kit's settings cut down to one step of each kind a round."""
    changes: dict[str, Any] = {
        "method": method,
        "fine_tuning": {
            "steps": 2 * rounds,
            "batch": batch,
            "class_batch": batch,
            "precision": precision,
        },
        "prior": {"count": batch, "sampler_steps": sampler_steps, "batch": batch},
        "decoupling": {"rounds": rounds, "pgd_steps": 2, "rho": 0.5, "draws": 1, "micro_batch": batch},
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
    memory: str = "none",
    compare: bool = False,
    progress: Progress = silent,
) -> Comparison:
    """Personalise to the folder `photos` in a folder that is thrown away; what every stage took.

    memory: a memory plan. compare: do the same work written plainly as well.
    Raises InputError, ModelError, StorageError, TrainingError.
    """
    pictures = read_folder(photos)
    with _measured(settings, kit.device, progress) as (scratch, meter):
        backbone = kit.backbone(base)
        if compare and len(backbone.networks) > PLAIN_NETWORKS:
            raise InputError(
                "The plain version is of Stable Diffusion 1 and 2 alone.", "Leave it out with --no-plain."
            )
        chosen = memory_plans.choose(memory, settings, backbone)
        asked = {"method": settings.method, "fine_tuning": {"precision": settings.fine_tuning.precision}}
        settings = memory_plans.applied(chosen, settings, asked)
        parameters = {
            name: sum(each.numel() for each in network.parameters())
            for name, network in backbone.networks.items()
        }
        resolution, surrogates, detector = backbone.resolution, kit.surrogates(), kit.detector()
        meter(LOADING, 1, 1)
        tensors = _tensors(pictures, resolution)
        personalize.run(
            settings,
            tensors,
            backbone,
            surrogates,
            detector,
            folder=scratch / "run",
            cache=scratch / "cache",
            progress=meter,
        )
    del backbone  # the plain version has the memory to itself
    return Comparison(
        parameters=parameters,
        resolution=resolution,
        photos=len(pictures),
        batch=settings.fine_tuning.batch,
        device=kit.device,
        device_name=device_name(kit.device),
        threads=torch.get_num_threads(),
        precision=settings.fine_tuning.precision,
        method=settings.method,
        memory=chosen.name,
        ours=meter.cost(),
        plain=_plainly(settings, tensors, kit, base, progress) if compare else None,
    )


def _plainly(
    settings: PersonalizationSettings, photos: Tensor, kit: Kit, base: str | Path | None, progress: Progress
) -> RunCost:
    """The same run as written plainly; one that needs more memory than there is has no stages."""
    try:
        with _measured(settings, kit.device, progress) as (scratch, meter):
            pipeline = kit.backbone(base).pipeline()
            surrogates, detector = kit.surrogates(), kit.detector()
            meter(LOADING, 1, 1)
            plain.run(
                settings, photos, pipeline, surrogates, detector, folder=scratch / "plain", progress=meter
            )
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return RunCost([], 0.0, 0, 0, failed="its memory did not suffice")
    return meter.cost()


@contextmanager
def _measured(
    settings: PersonalizationSettings, device: str, progress: Progress
) -> Iterator[tuple[Path, Meter]]:
    """A folder that is thrown away, and a meter that begins now."""
    release()
    with tempfile.TemporaryDirectory(prefix="visard-") as scratch, peak_memory(device) as memory:
        moves = plan(settings.decoupling, settings.fine_tuning.steps, defended=True)
        yield Path(scratch), Meter(moves, memory, progress)


def _tensors(pictures: Sequence[Photo], side: int) -> Tensor:
    return stacked([photo.image for photo in pictures], side)


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
        self._begun = self._last = clock()

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

    def cost(self) -> RunCost:
        """The whole until the last call."""
        stages = self.costs()
        highest = reduce(Peak.higher, self._peaks.values())
        return RunCost(stages, self._last - self._begun, highest.resident, highest.device)

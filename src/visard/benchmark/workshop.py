"""One process at work: its models, and what it does to unit after unit while there is time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from visard.benchmark.people import load_strangers
from visard.benchmark.protocol import Protocol, Unit, scored_by
from visard.benchmark.result import REDRAWN_FILE, SIMILARITIES_FILE, read_result, seconds_of
from visard.benchmark.scoring import Panel
from visard.benchmark.unit import UnitJob
from visard.benchmark.usefulness import Usefulness
from visard.errors import InputError, VisardError
from visard.kits import open_kit
from visard.storage import claimed, save_tensors


class OutOfTimeError(VisardError):
    """The time given is over: what was done is on disk, and the unit goes on where it was."""

    def __init__(self, message: str = "The time given is over.", advice: str = "") -> None:
        super().__init__(message, advice)


class Workshop:
    """The models of one process, and what it does to a unit with them.

    people: who exchange pictures with one another. decoder: where that of the settings lies.
    deadline: seconds since the epoch after which nothing is begun and a training stops.
    """

    def __init__(
        self,
        out: Path,
        kit: str,
        *,
        people: Sequence[int] = (),
        decoder: str = "",
        keep_models: bool = False,
        deadline: float | None = None,
    ) -> None:
        self.out, self.people, self.decoder = out, people, decoder
        self.keep_models, self.deadline = keep_models, deadline
        self.protocol = Protocol.of(out)
        self.trainer = open_kit(kit, self.protocol.device)
        self.protocol.require(self.trainer)
        self.examiner = self.trainer if self.protocol.device == "cpu" else open_kit(kit)
        if scored_by(self.examiner) != self.protocol.scored_by:
            raise InputError(
                f"The describer of the kit {self.trainer.name} is not the one these units are scored by.",
                "Give the kit that the benchmark was begun with, or begin it again with this one.",
            )

    def __call__(self, unit: Unit) -> None:
        """Do what is left of the unit.

        Raises OutOfTimeError, BusyError where another command is at it, and any other VisardError; what was
        done stays done.
        """
        with claimed(unit.folder(self.out)):
            if read_result(unit, self.protocol, self.out) is None:
                self._check_time()
                self._finish(UnitJob(unit, self.protocol, self.out, self.people))

    def _finish(self, job: UnitJob) -> None:
        job.describe()
        seconds: dict[str, float] = {}
        made: dict[str, float] = {} if job.begun else seconds  # what was left says nothing of the whole
        kept = self.keep_models
        if job.missing_pictures():
            if job.method.arm.kind == "trained":
                with _timed(made, "train"):
                    job.train(self.trainer, self._check_time, self.decoder)
                with _timed(made, "generate"):
                    job.generate(self.trainer)
            else:
                with _timed(made, "generate"):
                    job.make_pictures(self.trainer)
        else:
            seconds |= seconds_of(job.unit, self.protocol, self.out)
            kept |= bool(seconds)  # a finished unit is scored anew: whoever made it said what becomes of it
        if not kept:
            job.delete_model()
        with _timed(seconds, "score"):
            scores = self._examined(job)
        job.finish(scores, seconds)

    def _check_time(self, *_: object, **__: object) -> None:
        """Called as a Progress."""
        if self.deadline is not None and time.time() > self.deadline:
            raise OutOfTimeError

    def _examined(self, job: UnitJob) -> dict[str, Any]:
        clean, pictures = job.clean_photos, job.pictures()
        panel, usefulness = self.observers
        found = panel.score(clean, pictures)
        for prompt, figures in usefulness.score(clean, pictures).items():
            found.report["prompts"][prompt] |= figures
        save_tensors(job.folder / SIMILARITIES_FILE, found.similarities, {})
        save_tensors(job.folder / REDRAWN_FILE, found.redrawn, {})
        return found.report

    @cached_property
    def observers(self) -> tuple[Panel, Usefulness]:
        """What judges all units, and what sees of what use they are; the gallery is looked at once."""
        kit, detector = self.examiner, self.examiner.detector()
        strangers = load_strangers(self.out, self.protocol.lineup, kit.backbone().resolution)
        panel = Panel(detector, kit.judges(), kit.surrogates(), *strangers)
        usefulness = Usefulness(detector, list(kit.regressors().values()), kit.judges(), kit.describer())
        usefulness.enroll(*strangers)
        return panel, usefulness


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[stage] = round(time.monotonic() - started, 2)

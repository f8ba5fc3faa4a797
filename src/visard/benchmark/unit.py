"""One unit's work: train, generate, score. Each stage looks on disk for what is left of it."""

from __future__ import annotations

import json
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import visard
from visard.benchmark.people import CLEAN, TRAINING, load_photos, load_strangers
from visard.benchmark.protocol import Protocol, Unit
from visard.benchmark.scoring import Panel
from visard.benchmark.usefulness import Usefulness
from visard.diffusion.sampling import generate
from visard.errors import InputError
from visard.images import read_image, save_image, to_tensor
from visard.kits import Kit, open_kit
from visard.models import load_model
from visard.personalization import personalize
from visard.personalization.record import LIBRARIES, RUN_FILE
from visard.storage import atomic_write, save_tensors, storage_errors

RESULT_FILE = "result.json"
UNIT_FILE = "unit.json"
SIMILARITIES_FILE = "similarities.safetensors"
"""Of every picture to everybody in the gallery, by every recogniser: `scoring.Examination`."""


@dataclass(frozen=True)
class Result:
    """A finished unit. `seconds` holds the stages that ran through in the sitting that finished it."""

    unit: Unit
    scores: dict[str, Any]
    seconds: dict[str, float]


def read_result(unit: Unit, protocol: Protocol, out: Path) -> Result | None:
    """The unit's result, or None if it is not there, not whole, or another unit's."""
    try:
        stored = json.loads((unit.folder(out) / RESULT_FILE).read_text(encoding="utf-8"))
        if stored["key"] != unit.key(protocol) or set(stored["scores"]["prompts"]) != set(
            protocol.sampling.prompts
        ):
            return None
        return Result(unit, stored["scores"], stored["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


class Workshop:
    """The models of one process, and what it does to a unit with them."""

    def __init__(self, out: Path, kit: str, *, keep_models: bool = False) -> None:
        self.out, self.keep_models = out, keep_models
        self.protocol = Protocol.of(out)
        self.trainer = open_kit(kit, self.protocol.device)
        self.examiner = self.trainer if self.protocol.device == "cpu" else open_kit(kit)

    def __call__(self, unit: Unit) -> None:
        """Do what is left of the unit. Raises VisardError; what was done stays done."""
        if read_result(unit, self.protocol, self.out) is not None:
            return
        job = UnitJob(unit, self.protocol, self.out)
        seconds: dict[str, float] = {}
        job.describe()
        if job.missing_pictures():
            with _timed(seconds, "train"):
                job.train(self.trainer)
            with _timed(seconds, "generate"):
                job.generate(self.trainer)
        if not self.keep_models:
            job.delete_model()
        with _timed(seconds, "score"):
            scores = self._examined(job)
        job.finish(scores, seconds)

    def _examined(self, job: UnitJob) -> dict[str, Any]:
        clean, pictures = job.clean_photos, job.pictures()
        found = self.panel.score(clean, pictures)
        for prompt, figures in self.usefulness.score(clean, pictures).items():
            found.report["prompts"][prompt] |= figures
        save_tensors(job.folder / SIMILARITIES_FILE, found.similarities, {})
        return found.report

    @cached_property
    def panel(self) -> Panel:
        """The recognisers and the gallery: the same for all units, looked at once."""
        kit, protocol = self.examiner, self.protocol
        side = kit.backbone().resolution
        photos, owner = load_strangers(self.out, protocol.lineup, side)
        return Panel(kit.detector(), kit.judges(), kit.surrogates(), photos, owner)

    @cached_property
    def usefulness(self) -> Usefulness:
        """What the kit can tell of resemblance and quality."""
        kit = self.examiner
        return Usefulness(kit.detector(), list(kit.regressors().values()), kit.judges())


class UnitJob:
    """The files of one unit and the stages that make them."""

    def __init__(self, unit: Unit, protocol: Protocol, out: Path) -> None:
        self.unit, self.protocol = unit, protocol
        self.folder = unit.folder(out)
        self.photos = out / "people" / str(unit.person)
        self.run_folder = self.folder / "run"
        self.settings = unit.settings(protocol)

    def describe(self) -> None:
        """Say in the unit's folder what it is, for whoever opens it."""
        atomic_write(self.folder / UNIT_FILE, json.dumps(self._identity(), indent=1).encode())

    def train(self, kit: Kit) -> None:
        """Personalise; a stopped run goes on where it was, a finished one whose model is gone starts anew."""
        backbone = kit.backbone()
        finished = (self.run_folder / RUN_FILE).exists()
        gone = not any((self.run_folder / name).exists() for name in ("model", "lora.safetensors"))
        personalize.run(
            self.settings,
            load_photos(self.photos / TRAINING, backbone.resolution),
            backbone,
            kit.surrogates() if self.settings.needs_identity else [],
            kit.detector(),
            folder=self.run_folder,
            resume=not (finished and gone),
        )

    def generate(self, kit: Kit) -> None:
        """Sample the prompts that are not whole; all pictures of one together, so that they are the same."""
        loaded, sampling = load_model(self.run_folder, kit), self.protocol.sampling
        guidance = loaded.guidance if sampling.guidance is None else sampling.guidance
        for prompt in filter(self._missing, sampling.prompts):
            pictures = generate(
                loaded.backbone,
                prompt,
                sampling.pictures,
                seed=self.unit.run_seed,
                steps=sampling.steps,
                guidance=guidance,
            )
            for index, picture in enumerate(pictures):
                save_image(picture, picture_file(self.folder, prompt, index))

    def delete_model(self) -> None:
        """Remove the trained weights: hundreds of units would fill a disk."""
        with storage_errors(self.run_folder):
            shutil.rmtree(self.run_folder / "model", ignore_errors=True)
            for file in self.run_folder.glob("*.safetensors"):
                file.unlink()

    def finish(self, scores: dict[str, Any], seconds: dict[str, float]) -> None:
        """Write the result: the file that says that the unit is done."""
        result = {
            "key": self.unit.key(self.protocol),
            **self._identity(),
            "seconds": seconds,
            "scores": scores,
        }
        atomic_write(self.folder / RESULT_FILE, json.dumps(result, indent=1, allow_nan=False).encode())

    def missing_pictures(self) -> bool:
        """Whether any picture is not there or cannot be read."""
        return any(map(self._missing, self.protocol.sampling.prompts))

    def pictures(self) -> dict[str, Tensor]:
        """Prompt -> (P, 3, H, W) in [-1, 1]."""
        return {
            prompt: torch.stack([to_tensor(read_image(file)) for file in self._files(prompt)])
            for prompt in self.protocol.sampling.prompts
        }

    @property
    def clean_photos(self) -> Tensor:
        """The person's photos that no training has seen, as large as the pictures."""
        side = read_image(picture_file(self.folder, self.protocol.sampling.prompts[0], 0)).width
        return load_photos(self.photos / CLEAN, side)

    def _files(self, prompt: str) -> list[Path]:
        return [picture_file(self.folder, prompt, index) for index in range(self.protocol.sampling.pictures)]

    def _missing(self, prompt: str) -> bool:
        try:
            for file in self._files(prompt):
                read_image(file)
        except InputError:
            return True
        return False

    def _identity(self) -> dict[str, Any]:
        return {
            "unit": asdict(self.unit),
            "settings": asdict(self.settings),
            "sampling": asdict(self.protocol.sampling),
            "lineup": asdict(self.protocol.lineup),
            "device": self.protocol.device,
            "models": self.protocol.models,
            "versions": {"visard": visard.__version__, "python": platform.python_version()}
            | {name: version(name) for name in LIBRARIES},
        }


def picture_file(folder: Path, prompt: str, index: int) -> Path:
    """Where a unit's picture lies."""
    return folder / "pictures" / prompt.replace(" ", "-") / f"{index:04d}.png"


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[stage] = round(time.monotonic() - started, 2)

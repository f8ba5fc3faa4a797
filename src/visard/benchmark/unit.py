"""One unit's work: train, generate, score. Each stage looks on disk for what is left of it."""

from __future__ import annotations

import json
import math
import platform
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visard.benchmark.arms import attributes_pictures, covered_pictures
from visard.benchmark.change import psnr, ssim
from visard.benchmark.methods import Remembered, find_method
from visard.benchmark.people import CLEAN, TRAINING, load_photos, load_strangers
from visard.benchmark.protocol import RULES, Protocol, Unit
from visard.benchmark.scoring import SCORING, Panel
from visard.benchmark.usefulness import Usefulness
from visard.budget import Budget
from visard.diffusion.backbone import Backbone
from visard.diffusion.sampling import generate
from visard.errors import InputError, ModelError, VisardError
from visard.faces.detector import Detector
from visard.faces.recognizer import Recognizer
from visard.images import read_image, save_image, to_tensor
from visard.kits import Kit, open_kit
from visard.metrics.lpips import Lpips
from visard.models import load_model
from visard.personalization import personalize
from visard.personalization.record import RUN_FILE, library_versions
from visard.progress import Progress, silent
from visard.storage import atomic_write, claimed, load_tensors, save_tensors, storage_errors

RESULT_FILE = "result.json"
UNIT_FILE = "unit.json"
CHANGE_FILE = "change.json"
"""How far the optimised photos are from the photos."""
MAKING = ("unit", "settings", "sampling", "device", "models", "rules", "partner")
"""Of what describes a unit, that on which its pictures depend."""
LEAKED = "leaked"
"""Folder of what an attacker has drawn from the unit's model."""
MADE = ("run", "protected", "pictures", LEAKED)
SIMILARITIES_FILE = "similarities.safetensors"
"""Of every picture to everybody in the gallery, by every recogniser: `scoring.Examination`."""
REDRAWN_FILE = "redrawn.safetensors"
"""Shares under redrawn thresholds, from there as well."""


@dataclass(frozen=True)
class Result:
    """A finished unit. `seconds` holds the stages that its last sitting did from their beginning."""

    unit: Unit
    scores: dict[str, Any]
    seconds: dict[str, float]
    redrawn: dict[str, Tensor] = field(default_factory=dict, repr=False, compare=False)


def read_result(unit: Unit, protocol: Protocol, out: Path) -> Result | None:
    """The unit's result, or None if it is not there, not whole, or another unit's."""
    try:
        stored = json.loads((unit.folder(out) / RESULT_FILE).read_text(encoding="utf-8"))
        if (
            stored["key"] != unit.key(protocol)
            or stored["scoring"] != SCORING
            or set(stored["scores"]["prompts"]) != set(protocol.sampling.prompts)
        ):
            return None
        redrawn, _ = load_tensors(unit.folder(out) / REDRAWN_FILE)
        return Result(unit, stored["scores"], stored["seconds"], redrawn)
    except (OSError, ValueError, KeyError, TypeError, ModelError):
        return None


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
            seconds |= job.known_seconds
        if not self.keep_models:
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
        found = self.panel.score(clean, pictures)
        for prompt, figures in self.usefulness.score(clean, pictures).items():
            found.report["prompts"][prompt] |= figures
        save_tensors(job.folder / SIMILARITIES_FILE, found.similarities, {})
        save_tensors(job.folder / REDRAWN_FILE, found.redrawn, {})
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
    """The files of one unit and the stages that make them. people: among whom it finds a partner."""

    def __init__(self, unit: Unit, protocol: Protocol, out: Path, people: Sequence[int] = ()) -> None:
        self.unit, self.protocol, self.out, self.people = unit, protocol, out, people
        self.method = find_method(unit.arm)
        self.folder = unit.folder(out)
        self.photos = out / "people" / str(unit.person)
        self.run_folder = self.folder / "run"
        self.settings = unit.settings(protocol)

    def describe(self) -> None:
        """Say in the unit's folder what it is; what was made there as another unit is removed."""
        mine, stored = json.loads(json.dumps(self._identity())), self._described()
        if stored is None or any(stored.get(name) != mine[name] for name in MAKING):
            with storage_errors(self.folder):
                for name in MADE:
                    shutil.rmtree(self.folder / name, ignore_errors=True)
                (self.folder / CHANGE_FILE).unlink(missing_ok=True)
        atomic_write(self.folder / UNIT_FILE, json.dumps(mine, indent=1).encode())

    def _described(self) -> dict[str, Any] | None:
        try:
            stored = json.loads((self.folder / UNIT_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return stored if isinstance(stored, dict) else None

    def train(self, kit: Kit, progress: Progress = silent, decoder: str = "") -> None:
        """Personalise; a stopped run goes on where it was. decoder: where that of the settings lies.

        A finished one starts anew where its model is gone, or its optimised photos before they were measured.
        """
        backbone = kit.backbone()
        photos = load_photos(self.photos / TRAINING, backbone.resolution)
        detector = kit.detector()
        if self.method.perturb:
            photos, detector = self._perturbed(photos, kit, progress)
        elif self.method.half:
            photos = photos[len(photos) // 2 :]
        surrogates = self._surrogates(kit) if self.settings.needs_identity else []
        optimises = self.settings.defence == "iddm"
        finished = (self.run_folder / RUN_FILE).exists()
        gone = not self.has_model
        unmeasured = optimises and not (self.folder / CHANGE_FILE).exists()
        result = personalize.run(
            self.settings.with_preset({"decoupling": {"decoder": decoder}} if decoder else {}),
            photos,
            backbone,
            surrogates,
            detector,
            folder=self.run_folder,
            resume=not (finished and (gone or unmeasured)),
            progress=progress,
        )
        if optimises and result.protected is not None:
            self._measure_change(photos[len(photos) // 2 :], result.protected, kit.perceptual())

    def _surrogates(self, kit: Kit) -> list[Recognizer]:
        """All of the kit's, or as many of the first as the arm takes. Raises InputError for too few."""
        every, wanted = kit.surrogates(), self.method.surrogates
        if wanted > len(every):
            raise InputError(
                f"The arm {self.unit.arm} takes {wanted} surrogates; the kit {kit.name} has "
                f"{', '.join(each.name for each in every)}.",
                "Add surrogates to the kit, or leave this arm out.",
            )
        return every[: wanted or None]

    def make_pictures(self, kit: Kit) -> None:
        """The pictures of an arm that trains nothing: by words alone, or of another arm."""
        arm = self.method.arm
        if arm.kind == "redrawn":
            return self._draw(load_model(self._source_model(), kit).backbone, arm.strength)
        if arm.kind == "prompted":
            settings, backbone = self.settings, kit.backbone()
            guidance = self.protocol.sampling.guidance
            pictures = attributes_pictures(
                backbone,
                load_photos(self.photos / TRAINING, backbone.resolution),
                kit.detector(),
                list(kit.regressors().values()),
                self.protocol.sampling,
                seed=self.unit.sampling_seed,
                guidance=settings.prior.guidance if guidance is None else guidance,
            )
        elif arm.kind == "covered":
            pictures = covered_pictures(arm, self._source_pictures(), kit.detector())
        else:
            pictures = self._source_pictures()
        for prompt, each in pictures.items():
            self._save(prompt, each)
        return None

    @property
    def begun(self) -> bool:
        """Whether an earlier sitting has left anything of what the unit makes."""
        return any((self.folder / name).exists() for name in MADE)

    @property
    def has_model(self) -> bool:
        """Whether the unit's own model, once trained, is still there."""
        return any((self.run_folder / name).exists() for name in ("model", "lora.safetensors"))

    @property
    def drawn_by(self) -> Unit | None:
        """The unit whose model drew the pictures; None where that is the untrained base model."""
        if self.method.arm.kind == "trained":
            return self.unit
        return self._source.drawn_by if self.method.arm.of else None

    @property
    def source(self) -> Unit | None:
        """The unit whose pictures or model this one takes, if it does not begin with photos."""
        if not self.method.arm.of:
            return None
        person = self.unit.person if self.partner is None else self.partner
        return replace(self.unit, person=person, arm=self.method.arm.of)

    @property
    def _source(self) -> UnitJob:
        assert self.source is not None
        return UnitJob(self.source, self.protocol, self.out)

    def _source_pictures(self) -> dict[str, Tensor]:
        """The pictures that this unit changes. Raises InputError when they are not there."""
        source = self._source
        if source.missing_pictures():
            raise InputError(
                f"The arm {self.unit.arm} changes pictures of {source.unit.arm}, which are not there.",
                f"Ask for both arms: --arms {source.unit.arm},{self.unit.arm}.",
            )
        return source.pictures()

    def _source_model(self) -> Path:
        """The run of the arm whose models draw again. Raises InputError where the model is gone."""
        source = self._source
        if not source.has_model:
            raise InputError(
                f"The model of person {source.unit.person} is gone, and {self.unit.arm} draws from it.",
                f"Delete {source.folder}, to train it again, or leave this arm out.",
            )
        return source.run_folder

    @cached_property
    def partner(self) -> int | None:
        """Whose pictures stand for chance, if the arm exchanges any: the people asked for go in pairs.

        The last of an odd number is given those of the one before, and whoever has a partner keeps it when
        more people come. Raises InputError for one person alone.
        """
        arm = self.method.arm
        if arm.kind != "exchanged":
            return None
        known = (self._described() or {}).get("partner")
        if isinstance(known, int) and known != self.unit.person:
            return known
        everyone = sorted({*self.people, self.unit.person})
        if len(everyone) < 2:
            raise InputError(
                "One person alone has nobody to exchange pictures with.", "Ask for more --people."
            )
        place = everyone.index(self.unit.person)
        other = place ^ 1
        return everyone[other if other < len(everyone) else place - 1]

    def _perturbed(self, photos: Tensor, kit: Kit, progress: Progress) -> tuple[Tensor, Detector]:
        """What the victim trains on (decision 15), and a detector that goes by the photos as they were."""
        from visard.protection.protect import protect
        from visard.protection.settings import ProtectionSettings

        half, decoupling = len(photos) // 2, self.settings.decoupling
        reference, originals = photos[:half], photos[half:]
        radius = decoupling.radius if self.method.radius is None else self.method.radius
        budget = Budget.of(radius, decoupling.step, decoupling.pixel_range)
        settings = {
            "method": self.method.perturb,
            "radius": budget.radius,
            "step": budget.step,
            "seed": self.unit.run_seed,
        }
        plain = ProtectionSettings().with_preset(self.protocol.protection).with_preset(settings)
        protected = protect(
            plain.with_preset(self.method.protection),
            originals,
            kit.backbone(),
            folder=self.folder / "protected",
            clean=reference,
            progress=progress,
        )
        changed = torch.stack([to_tensor(read_image(file)) for file in protected.pictures])
        found = kit.detector()
        faces = [list(each) for each in found.detect(photos)]
        if self.method.clean_too:
            return torch.cat([reference, changed]), Remembered(found.name, found.setting, faces)
        return changed, Remembered(found.name, found.setting, faces[half:])

    def _measure_change(self, photos: Tensor, optimised: Tensor, lpips: Lpips | None) -> None:
        found = {"psnr": psnr(optimised, photos), "ssim": ssim(optimised, photos)}
        if lpips is not None:
            found["lpips"] = float(lpips(optimised, photos).mean())
        whole = {name: value for name, value in found.items() if math.isfinite(value)}
        atomic_write(self.folder / CHANGE_FILE, json.dumps(whole).encode())

    def generate(self, kit: Kit) -> None:
        """Sample from the unit's own model, at the guidance that suits it unless the protocol has one."""
        loaded, guidance = load_model(self.run_folder, kit), self.protocol.sampling.guidance
        self._draw(loaded.backbone, loaded.guidance if guidance is None else guidance)

    def _draw(self, backbone: Backbone, guidance: float) -> None:
        """Sample the prompts that are not whole; all pictures of one together, so that they are the same."""
        sampling = self.protocol.sampling
        for prompt in filter(self._missing, sampling.prompts):
            pictures = generate(
                backbone,
                prompt,
                sampling.pictures,
                seed=self.unit.sampling_seed(prompt),
                steps=sampling.steps,
                guidance=guidance,
            )
            self._save(prompt, pictures)

    def _save(self, prompt: str, pictures: Tensor) -> None:
        for index, picture in enumerate(pictures):
            save_image(picture, picture_file(self.folder, prompt, index))

    @property
    def known_seconds(self) -> dict[str, float]:
        """What the stages of this very unit took, if it was scored before by other rules."""
        try:
            stored = json.loads((self.folder / RESULT_FILE).read_text(encoding="utf-8"))
            return dict(stored["seconds"]) if stored["key"] == self.unit.key(self.protocol) else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def delete_model(self) -> None:
        """Remove the trained weights: hundreds of units would fill a disk."""
        with storage_errors(self.run_folder):
            shutil.rmtree(self.run_folder / "model", ignore_errors=True)
            for file in self.run_folder.glob("*.safetensors"):
                file.unlink()

    def finish(self, scores: dict[str, Any], seconds: dict[str, float]) -> None:
        """Write the result: the file that says that the unit is done."""
        with suppress(OSError, ValueError):
            scores["change"] = json.loads((self.folder / CHANGE_FILE).read_text(encoding="utf-8"))
        result = {
            "key": self.unit.key(self.protocol),
            "scoring": SCORING,
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
        return {prompt: self.pictures_of(prompt) for prompt in self.protocol.sampling.prompts}

    def pictures_of(self, prompt: str) -> Tensor:
        """(P, 3, H, W) in [-1, 1]."""
        return torch.stack([to_tensor(read_image(file)) for file in self._files(prompt)])

    @property
    def side(self) -> int:
        """Of a picture, in pixels."""
        return read_image(picture_file(self.folder, self.protocol.sampling.prompts[0], 0)).width

    @property
    def clean_photos(self) -> Tensor:
        """The person's photos that no training has seen, as large as the pictures."""
        return load_photos(self.photos / CLEAN, self.side)

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
            "rules": RULES,
            "partner": self.partner,
            "versions": library_versions() | {"python": platform.python_version()},
        }


def picture_file(folder: Path, prompt: str, index: int) -> Path:
    """Where a unit's picture lies."""
    return folder / "pictures" / prompt.replace(" ", "-") / f"{index:04d}.png"


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[stage] = round(time.monotonic() - started, 2)

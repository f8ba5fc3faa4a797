"""One unit's files and the stages that make them: each looks on disk for what is left of it."""

from __future__ import annotations

import json
import math
import platform
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visard.benchmark.arms import attributes_pictures, covered_pictures
from visard.benchmark.change import psnr, ssim
from visard.benchmark.methods import Remembered, find_method
from visard.benchmark.people import CLEAN, TRAINING, load_photos
from visard.benchmark.protocol import RULES, Protocol, Unit
from visard.benchmark.result import RESULT_FILE, write_result
from visard.budget import Budget
from visard.diffusion.backbone import Backbone
from visard.diffusion.sampling import generate
from visard.diffusion.strength import weaken
from visard.errors import InputError
from visard.faces.detector import Detector
from visard.faces.recognizer import Recognizer
from visard.images import read_image, save_image, to_tensor
from visard.kits import Kit
from visard.metrics.lpips import Lpips
from visard.models import Personalized, load_model
from visard.personalization import personalize
from visard.personalization.record import RUN_FILE, library_versions
from visard.progress import Progress, silent
from visard.storage import atomic_write, storage_errors

UNIT_FILE = "unit.json"
CHANGE_FILE = "change.json"
"""How far the optimised photos are from the photos."""
MAKING = ("unit", "settings", "sampling", "device", "models", "rules", "partner")
"""Of what describes a unit, that on which its pictures depend."""
PICTURES, LEAKED = "pictures", "leaked"
"""Folders of a unit's pictures, and of what an attacker has drawn from its model."""
MADE = ("run", "protected", PICTURES, LEAKED)


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
        if arm.kind == "weakened":
            return self._draw_weakened(kit)
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
        if (source.folder / RESULT_FILE).exists():
            require_pictures(source.folder)
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
        known = partial(Remembered, found.name, found.setting, found.weights)
        if self.method.clean_too:
            return torch.cat([reference, changed]), known(faces)
        return changed, known(faces[half:])

    def _measure_change(self, photos: Tensor, optimised: Tensor, lpips: Lpips | None) -> None:
        found = {"psnr": psnr(optimised, photos), "ssim": ssim(optimised, photos)}
        if lpips is not None:
            found["lpips"] = float(lpips(optimised, photos).mean())
        whole = {name: value for name, value in found.items() if math.isfinite(value)}
        atomic_write(self.folder / CHANGE_FILE, json.dumps(whole).encode())

    def generate(self, kit: Kit) -> None:
        """Sample from the unit's own model."""
        loaded = load_model(self.run_folder, kit)
        self._draw(loaded.backbone, self._guidance(loaded))

    def _draw_weakened(self, kit: Kit) -> None:
        """Sample from what is left of another arm's training."""
        loaded = load_model(self._source_model(), kit)
        weaken(loaded.backbone, kit.backbone(), self.method.arm.strength)
        self._draw(loaded.backbone, self._guidance(loaded))

    def _guidance(self, loaded: Personalized) -> float:
        """The protocol's, or what suits the model."""
        guidance = self.protocol.sampling.guidance
        return loaded.guidance if guidance is None else guidance

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
        write_result(self.unit, self.protocol, self.out, scores, seconds, self._identity())

    def missing_pictures(self) -> bool:
        """Whether any picture is not there or cannot be read."""
        return any(map(self._missing, self.protocol.sampling.prompts))

    def pictures(self) -> dict[str, Tensor]:
        """Prompt -> (P, 3, H, W) in [-1, 1]."""
        return {prompt: self.pictures_of(prompt) for prompt in self.protocol.sampling.prompts}

    def pictures_of(self, prompt: str) -> Tensor:
        """(P, 3, H, W) in [-1, 1]. Raises InputError where the unit came without."""
        require_pictures(self.folder)
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


def has_pictures(folder: Path) -> bool:
    """Whether a unit's pictures are there: one that was unpacked comes without."""
    return (folder / PICTURES).is_dir()


def require_pictures(folder: Path) -> None:
    """Raise InputError where a unit's pictures are not there."""
    if not has_pictures(folder):
        raise InputError(
            f"The unit in {folder} was unpacked without its pictures.",
            "Delete that folder: the command that finishes the unit makes them again.",
        )


def picture_file(folder: Path, prompt: str, index: int) -> Path:
    """Where a unit's picture lies."""
    return folder / PICTURES / prompt.replace(" ", "-") / f"{index:04d}.png"

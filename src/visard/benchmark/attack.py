"""The attack on a benchmark: its people against an attacker who has run the same protocol on others.

The attacker's people lie in a benchmark of their own inside the folder: their models, which take long, are
trained once, and a stopped attack goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from visard.attacks import PUBLISHED, AttackSettings, AttackTier, Knowledge, Known, Lenses, attack
from visard.attacks.inputs import Pictures, Source
from visard.attacks.purification import backbone_views
from visard.attacks.result import write_results
from visard.attacks.views import VIEWS
from visard.benchmark import job
from visard.benchmark.people import CLEAN, STRANGERS, Camera, load_photos, world_camera
from visard.benchmark.protocol import Protocol, Unit
from visard.benchmark.unit import UnitJob, picture_file
from visard.diffusion.sampling import generate
from visard.errors import InputError
from visard.images import read_image, save_image, to_tensor
from visard.kits import Kit, open_kit
from visard.models import load_model
from visard.progress import Progress, silent

ATTACKER = "attacker"
"""Folder of the attacker's own people inside a benchmark's."""
LEAKS: dict[str, tuple[str, ...]] = {
    "leaked": (
        "a photo of sks person",
        "a dslr portrait of sks person",
        "a close-up photo of sks person",
        "a portrait of sks person",
        "a photo of sks person, smiling",
        "a photo of sks person, in a park",
        "a photo of sks person, in front of a plain wall",
        "a watercolor of sks person",
    ),
    "leaked, without the identifier": (
        "a photo of person",
        "a photo of a man",
        "a photo of a woman",
        "a close-up photo of person",
    ),
}
"""What is asked of a leaked model file (T5): prompts about the person, and about anybody."""


@dataclass(frozen=True)
class Attackers:
    """The attacker's own people: development and training, how T5 samples, and how many units at a time."""

    dev: Sequence[int]
    train: Sequence[int]
    leaked: int = 8
    """Pictures of every prompt in LEAKS."""
    workers: int = 2
    keep_models: bool = False


def attack_benchmark(
    out: Path,
    arm: str,
    attackers: Attackers,
    *,
    tiers: Sequence[str],
    kit: str = "world",
    seed: int = 0,
    settings: AttackSettings | None = None,
    camera: Camera = world_camera,
    progress: Progress = silent,
) -> list[AttackTier]:
    """Attack a finished benchmark's arm; what is found is also written to `attack_file(out, arm)`.

    Trains what is missing of the attacker's models. T5 needs the models of the people under attack: a
    benchmark made with --keep-models. Raises InputError, ModelError, StorageError, TrainingError.
    """
    protocol = Protocol.of(out)
    units = [each.unit for each in job.finished(out) if (each.unit.arm, each.unit.seed) == (arm, seed)]
    if not units:
        raise InputError(
            f"No unit of the arm {arm} is finished in {out}.", "Finish it with visard bench main first."
        )
    highest = max(tiers, default="")
    learned = attackers.train if highest >= "T4" else ()
    everyone = {unit.person for unit in units} | {*attackers.dev, *learned}
    if len(everyone) < len(units) + len(attackers.dev) + len(learned):
        raise InputError("The attacker's people are among those under attack.", "Choose others.")
    leaks = highest >= "T5"
    models, own = open_kit(kit), out / ATTACKER
    if leaks:
        _leak(units, protocol, out, models, attackers.leaked, False, progress)
    others = {
        party: [Unit(person, arm, seed) for person in people]
        for party, people in (("dev", attackers.dev), ("train", learned))
    }
    job.run(
        job.Job(
            people=[unit.person for party in others.values() for unit in party],
            strangers=[int(folder.name) for folder in _strangers(out)],
            arms=[arm],
            seeds=[seed],
            workers=attackers.workers,
            keep_models=leaks or attackers.keep_models,
        ),
        protocol,
        own,
        kit=kit,
        camera=camera,
        progress=progress,
    )
    if leaks:
        for party in others.values():
            _leak(party, protocol, own, models, attackers.leaked, not attackers.keep_models, progress)
    side = models.backbone().resolution
    gallery: dict[str, Source] = {_name(unit): _clean(out, unit, side) for unit in units}
    gallery |= {f"stranger {each.name}": partial(load_photos, each, side) for each in _strangers(out)}
    knowledge = {
        party: {
            _name(unit): Known(
                _clean(own, unit, side), _pictures(own, unit, protocol, leaks, attackers.leaked)
            )
            for unit in units_of
        }
        for party, units_of in others.items()
    }
    found = attack(
        {_name(unit): _pictures(out, unit, protocol, leaks, attackers.leaked) for unit in units},
        gallery,
        Knowledge(knowledge["dev"], knowledge["train"]),
        lenses(models),
        tiers=tiers,
        settings=settings,
        arm=arm,
        progress=progress,
    )
    write_results(attack_file(out, arm), found)
    return found


def attack_file(out: Path, arm: str) -> Path:
    """Where a benchmark keeps what the attack on an arm found."""
    return out / f"attack-{arm}.json"


def lenses(kit: Kit) -> Lenses:
    """What an attacker with a kit's held-out models, and its undefended base model, sees with."""
    return Lenses(kit.detector(), kit.judges(), kit.matcher(), VIEWS | backbone_views(kit.backbone()))


def _leak(
    units: Sequence[Unit],
    protocol: Protocol,
    out: Path,
    kit: Kit,
    count: int,
    delete: bool,
    progress: Progress,
) -> None:
    """Draw what is missing of every unit's leaked pictures, then delete its model if asked to."""
    for done, unit in enumerate(units):
        work, folder = UnitJob(unit, protocol, out), unit.folder(out) / "leaked"
        missing = [
            prompt
            for prompts in LEAKS.values()
            for prompt in prompts
            if not all(picture_file(folder, prompt, index).exists() for index in range(count))
        ]
        weights = (work.run_folder / "model", work.run_folder / "lora.safetensors")
        if missing and not any(each.exists() for each in weights):
            raise InputError(
                f"The model of {_name(unit)} is gone, and tier T5 draws from it.",
                "Run the benchmark with --keep-models, or attack up to T4.",
            )
        if missing:
            loaded = load_model(work.run_folder, kit)
            for prompt in missing:
                drawn = generate(
                    loaded.backbone,
                    prompt,
                    count,
                    seed=unit.run_seed + 1,
                    steps=protocol.sampling.steps,
                    guidance=loaded.guidance,
                )
                for index, picture in enumerate(drawn):
                    save_image(picture, picture_file(folder, prompt, index))
        if delete:
            work.delete_model()
        progress("pictures from model files", done + 1, len(units))


def _pictures(out: Path, unit: Unit, protocol: Protocol, leaks: bool, count: int) -> Pictures:
    sources: dict[str, Source] = {PUBLISHED: partial(_published, UnitJob(unit, protocol, out))}
    if leaks:
        folder = unit.folder(out) / "leaked"
        for name, prompts in LEAKS.items():
            sources[name] = partial(
                _read, [picture_file(folder, prompt, index) for index in range(count) for prompt in prompts]
            )
    return sources


def _published(work: UnitJob) -> Tensor:
    return torch.cat(list(work.pictures().values()))


def _read(files: Sequence[Path]) -> Tensor:
    return torch.stack([to_tensor(read_image(file)) for file in files])


def _clean(out: Path, unit: Unit, side: int) -> Source:
    return partial(load_photos, out / "people" / str(unit.person) / CLEAN, side)


def _strangers(out: Path) -> list[Path]:
    return sorted((out / STRANGERS).iterdir(), key=lambda folder: int(folder.name))


def _name(unit: Unit) -> str:
    return f"person {unit.person}"

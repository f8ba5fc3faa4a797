"""The project from Python: what the commands do, as functions. Import them from `visard.api`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from visard.attacks import AttackSettings, AttackTier, folders
from visard.attacks.report import audited as audited_with_tiers
from visard.attacks.result import up_to
from visard.audit import AuditResult, AuditSettings, Person, Strangers, audit_people, render_report
from visard.benchmark.attack import lenses, prepare
from visard.benchmark.attack_report import audit_campaign
from visard.benchmark.protocol import PROTOCOL_FILE
from visard.diffusion import sampling
from visard.diffusion.resolution import resolution_of
from visard.errors import InputError
from visard.images import center_crop, has_pictures, read_folder, read_image, save_image, to_tensor
from visard.inspection import inspect
from visard.kits import Kit, open_kit
from visard.models import Personalized, choose_device, load_model
from visard.personalization import memory_plans
from visard.personalization import personalize as personalization
from visard.personalization.personalize import Result
from visard.personalization.settings import PersonalizationSettings
from visard.photos.prepare import prepare as prepare_photos
from visard.photos.select import Selector
from visard.photos.selection import Selection
from visard.progress import Progress, silent
from visard.protection import protect as protection
from visard.protection.protect import Protected
from visard.protection.settings import ProtectionSettings
from visard.settings import read_toml
from visard.storage import atomic_write, claimed
from visard.targets import require_writable

REQUEST_FILE = "generate.json"
BATCH = 8

__all__ = [
    "attack",
    "audit",
    "generate",
    "inspect",
    "load_model",
    "open_kit",
    "personalize",
    "prepare_photos",
    "protect",
    "select_photos",
    "write_report",
]


def personalize(
    photos: str | Path,
    out: str | Path,
    *,
    kit: str | Path | Kit = "world",
    base: str | Path | None = None,
    privacy: str | None = None,
    config: str | Path | PersonalizationSettings | None = None,
    device: str = "auto",
    memory: str = "none",
    resume: bool = True,
    person: int | None = None,
    progress: Progress = silent,
    tell: Callable[[str], None] = lambda text: None,
    **changes: Any,
) -> Result:
    """Teach a model the person in the folder `photos`; the run is written to the folder `out`.

    privacy: "low", "medium" or "high" (the default). config: settings, or a TOML file of them such as the
    run.toml of an earlier run. memory: a plan of `memory_plans.PLANS`, or "auto"; `tell` hears what it means,
    and which photos are left out. person: whose face, by the number that `select_photos` gives it.
    changes: single settings, nested ones as dictionaries:
    `seed=1, fine_tuning={"steps": 400}`.
    Raises InputError, ModelError, StorageError, TrainingError; BusyError when another command is at it.
    """
    models = _kit(kit, device)
    settings = _settings(models, config, privacy, changes)
    backbone = models.backbone(base)
    chosen = _selector(models, backbone.resolution).select(photos, person, progress)
    chosen.require()
    if chosen.summary:
        tell(chosen.summary)
    if memory != "none":
        plan = memory_plans.choose(memory, settings, backbone)
        settings = memory_plans.applied(plan, settings, changes)
        tell(memory_plans.description(plan, settings, backbone))
    return personalization.run(
        settings,
        chosen.pictures,
        backbone,
        models.surrogates() if settings.needs_identity else [],
        models.detector(),
        folder=out,
        progress=progress,
        resume=resume,
        captions=[shot.caption for shot in chosen.used],
        names=[shot.file.name for shot in chosen.used],
    )


def select_photos(
    folder: str | Path,
    *,
    person: int | None = None,
    size: int | None = None,
    kit: str | Path | Kit = "world",
    base: str | Path | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> Selection:
    """Which photos of `folder` a personalisation would use, how they are cut, and why others are left out.

    person: a number of an earlier selection's people. size: pixels of the cut squares, by default the base
    model's own. Nothing is written. Raises InputError, ModelError.
    """
    models = _kit(kit, device)
    return _selector(models, size or _side(models, base)).select(folder, person, progress)


def protect(
    photos: str | Path,
    out: str | Path,
    *,
    method: str = "aspl",
    clean: str | Path | None = None,
    target: str | Path | None = None,
    kit: str | Path | Kit = "world",
    base: str | Path | None = None,
    device: str = "auto",
    resume: bool = True,
    progress: Progress = silent,
    **changes: Any,
) -> Protected:
    """Perturb the photos of a folder so that a model fine-tuned on them fails; PNG files go to `out`.

    method: a name in visard.protection.methods.METHODS. clean: other photos of the same person, for a
    surrogate to learn from; without them it learns from `photos`. target: a picture that "targeted-aspl" and
    "mist" steer to. changes: single settings, as in `personalize`. A kit's settings are for its own base
    model: with another `base` they are the paper's.
    The files are at 8 bits; visard.protection.run.protected_photos gives photos in floating point.
    Raises InputError, ModelError, StorageError, TrainingError; BusyError when another command is at it.
    """
    models = _kit(kit, device)
    settings = ProtectionSettings().with_preset(models.protection if base is None else {})
    settings = settings.with_preset({"method": method, **changes})
    backbone = models.backbone(base)
    pictures = read_folder(photos)
    others = read_folder(clean) if clean is not None else []
    side = backbone.resolution

    def cropped(images: Sequence[Image]) -> Tensor:
        return torch.stack([to_tensor(center_crop(image, side)) for image in images])

    return protection.protect(
        settings,
        cropped([photo.image for photo in pictures]),
        backbone,
        folder=out,
        clean=cropped([photo.image for photo in others]) if others else None,
        target=cropped([read_image(target)])[0] if target is not None else None,
        captions=[photo.caption for photo in pictures],
        clean_captions=[photo.caption for photo in others] if others else None,
        resume=resume,
        progress=progress,
    )


def generate(
    model: str | Path | Personalized,
    out: str | Path,
    prompt: str | None = None,
    count: int = 4,
    *,
    seed: int = 0,
    steps: int = 25,
    guidance: float | None = None,
    negative_prompt: str = "",
    base: str | Path | None = None,
    kit: str | Path | Kit = "world",
    device: str = "auto",
    progress: Progress = silent,
) -> list[Path]:
    """Sample `count` pictures of `prompt` (default: the words of the training) into the folder `out`.

    `guidance`: by default that of the run's class pictures, 7.5 for a model without a run. Pictures that an
    earlier call with the same request has left there are kept.
    Raises InputError, ModelError, StorageError; BusyError when another command is at work in the folder.
    """
    out = Path(out)
    loaded = model if isinstance(model, Personalized) else load_model(model, _kit(kit, device), base)
    words = prompt or loaded.prompt
    if not words:
        raise InputError("This model does not say what it was taught.", "Say what to show with --prompt.")
    strength = loaded.guidance if guidance is None else guidance
    request = {
        "model": loaded.backbone.fingerprint(),
        "prompt": words,
        "negative_prompt": negative_prompt,
        "seed": seed,
        "steps": steps,
        "guidance": strength,
    }
    files = [out / f"{index:04d}.png" for index in range(count)]
    with claimed(out):
        _same_request(out, request)
        missing = [index for index, file in enumerate(files) if not file.exists()]
        for start in range(missing[0] if missing else count, count, BATCH):
            size = min(BATCH, count - start)
            pictures = sampling.generate(
                loaded.backbone,
                words,
                size,
                seed=seed,
                steps=steps,
                guidance=strength,
                batch=size,
                negative_prompt=negative_prompt,
                first=start,
                progress=_part(progress, start * steps, count * steps),
            )
            for file, picture in zip(files[start : start + size], pictures, strict=True):
                save_image(picture, file)
    return files


def audit(
    pictures: str | Path,
    reference: str | Path,
    *,
    gallery: str | Path | None = None,
    training_photos: str | Path | None = None,
    kit: str | Path | Kit = "world",
    report: str | Path | None = None,
    settings: AuditSettings | None = None,
    device: str = "auto",
    progress: Progress = silent,
    tell: Callable[[AuditResult], None] = lambda found: None,
) -> AuditResult:
    """Measure whether a kit's judges link the folder `pictures` to the person in the folder `reference`.

    Folders inside `pictures` are arms to compare, `none` being the undefended one, and folders inside those
    are prompts. gallery: a folder of photos for each stranger; the kit "world" brings its own. report: an
    HTML file; `tell` hears the result before it is written, in case it cannot be.
    Raises InputError, ModelError, StorageError.
    """
    require_writable(report)
    models = _kit(kit, device)
    arms = _arms(Path(pictures))
    side = next(iter(arms.values())).shape[-1]
    training = _photos(Path(training_photos), side) if training_photos is not None else None
    person = Person(_photos(Path(reference), side), arms, training)
    found = audit_people(
        [person],
        _strangers(gallery or models.gallery, side),
        models.instruments(),
        surrogates=models.surrogate_ids(),
        settings=settings,
        progress=progress,
    )
    tell(found)
    if report is not None:
        write_report(report, found, models, [person])
    return found


def attack(
    target: str | Path,
    *,
    tier: str = "T4",
    arm: str = "0.1",
    dev: int = 10,
    train: int = 20,
    leaked: int = 8,
    workers: int = 2,
    attacker: str | Path | None = None,
    gallery: str | Path | None = None,
    data: str | Path | None = None,
    identities: str | Path | None = None,
    kit: str | Path = "world",
    seed: int = 0,
    report: str | Path | None = None,
    progress: Progress = silent,
    tell: Callable[[list[AttackTier]], None] = lambda found: None,
) -> list[AttackTier]:
    """Attack the folder `target` as an adversary would who adapts to the defence, a result for each tier.

    tier: the highest of T0 to T5. target: a folder of people (NAME/photos, NAME/pictures) whom those in
    `attacker` (dev/NAME/..., train/NAME/...) attack in a gallery of strangers, by default the kit's; or a
    benchmark, whose `arm` is attacked with so many other people to choose on (dev) and learn from (train),
    `leaked` pictures of each prompt at T5, `workers` models trained at a time. data, identities: the folder
    and the identity file that a benchmark of a folder was made with, whose other people are the attacker's.
    report: an HTML file, the same people audited; `tell` hears the tiers before that is begun.
    Raises InputError, ModelError, StorageError, TrainingError.
    """
    tiers = up_to(tier)
    require_writable(report)
    target, settings = Path(target), AttackSettings(seed=seed)
    models = open_kit(kit)
    audited: Callable[[], AuditResult]
    if (target / PROTOCOL_FILE).is_file():
        campaign, camera, _ = prepare(
            target,
            arm,
            tier,
            {"dev": dev, "train": train, "leaked": leaked, "workers": workers},
            data=_path(data),
            identities=_path(identities),
            kit=str(kit),
            seed=seed,
            progress=progress,
        )
        if len(campaign.arms) > 1:
            raise InputError("One arm is attacked at a time.", "visard bench attackers takes several.")
        campaign.run(camera=camera, progress=progress)
        (found,) = campaign.found().values()
        audited = partial(audit_campaign, campaign, progress)
    else:
        strangers = gallery or models.gallery
        if attacker is None or strangers is None:
            raise InputError(
                f"{target} is no benchmark, and an attack on people needs --attacker and --gallery.",
                "Give the attacker's own people (dev/NAME/photos, dev/NAME/pictures) and strangers.",
            )
        attackers, others = Path(attacker), Path(strangers)
        found = folders.attack_people(
            target, attackers, others, lenses(models), tiers=tiers, settings=settings, progress=progress
        )
        audited = partial(_audited, target, others, found, models, settings, progress)
    tell(found)
    if report is not None:
        write_report(report, audited(), models, title="Linkability audit with attack tiers")
    return found


def write_report(
    file: str | Path,
    found: AuditResult,
    kit: Kit,
    people: Sequence[Person] = (),
    *,
    title: str = "Linkability audit",
) -> None:
    """Write an audit through `kit` as one HTML page; without `people` it holds figures alone.

    Raises StorageError.
    """
    licences = {f"{each.model} ({each.role})": each.weights for each in kit.licences()}
    atomic_write(file, render_report(found, people, title=title, licences=licences).encode())


def _audited(
    people: Path,
    strangers: Path,
    found: Sequence[AttackTier],
    kit: Kit,
    settings: AttackSettings,
    progress: Progress,
) -> AuditResult:
    """The audit of a folder of people, with the tiers found."""
    return audited_with_tiers(
        folders.as_audited(people),
        folders.strangers(strangers),
        found,
        kit.instruments(),
        surrogates=kit.surrogate_ids(),
        settings=settings,
        progress=progress,
    )


def _selector(kit: Kit, size: int) -> Selector:
    return Selector(kit.detector(), kit.surrogates(), size=size, regressors=list(kit.regressors().values()))


def _side(kit: Kit, base: str | Path | None) -> int:
    """Pixels of the base model's pictures, without loading it."""
    beside = kit.file.parent / kit.contents.backbone
    return resolution_of(beside if base is None else base)


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)


def _kit(kit: str | Path | Kit, device: str) -> Kit:
    return kit if isinstance(kit, Kit) else open_kit(kit, choose_device(device))


def _settings(
    kit: Kit,
    config: str | Path | PersonalizationSettings | None,
    privacy: str | None,
    changes: Mapping[str, Any],
) -> PersonalizationSettings:
    """Defaults, then what suits the kit, then the file, then what was asked for by name."""
    if isinstance(config, PersonalizationSettings):
        settings = config
    else:
        settings = PersonalizationSettings().with_preset(kit.personalization)
        if config is not None:
            table = read_toml(Path(config))
            settings = settings.with_preset(table.get("settings", table))  # run.toml has them one level down
    if privacy is not None:
        settings = settings.with_privacy(privacy)
    return settings.with_preset(changes)


def _same_request(out: Path, request: Mapping[str, Any]) -> None:
    """Pictures of two requests in one folder could not be told apart: a folder belongs to the first one."""
    file = out / REQUEST_FILE
    if not file.exists() and not (out / "0000.png").exists():
        atomic_write(file, (json.dumps(request, indent=2) + "\n").encode())
        return
    try:
        same = json.loads(file.read_text(encoding="utf-8")) == request
    except (OSError, ValueError):
        same = False
    if not same:
        raise InputError(
            f"{out} holds pictures of another request.", "Choose another folder, or delete that one."
        )


def _part(progress: Progress, done_before: int, whole: int) -> Progress:
    def report(stage: str, done: int, total: int, **figures: float) -> None:
        progress(stage, done_before + done, whole, **figures)

    return report


def _arms(folder: Path) -> dict[str, Tensor]:
    """The folders under `folder` that hold pictures, by path, or `folder` itself by its name."""
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", "Give the folder that holds the pictures.")
    inside = sorted(path for path in folder.rglob("*") if path.is_dir() and has_pictures(path))
    if has_pictures(folder) or not inside:
        return {folder.resolve().name: _photos(folder)}
    arms = {path.relative_to(folder).as_posix(): _photos(path) for path in inside}
    if len({pictures.shape[1:] for pictures in arms.values()}) > 1:
        raise InputError(f"The folders in {folder} hold pictures of several sizes.", "Audit them one by one.")
    return arms


def _photos(folder: Path, side: int | None = None) -> Tensor:
    """The pictures of a folder as (N, 3, side, side); by default the side of the smallest."""
    photos = [photo.image for photo in read_folder(folder)]
    size = side or min(min(photo.size) for photo in photos)
    return torch.stack([to_tensor(center_crop(photo, size)) for photo in photos])


def _strangers(gallery: str | Path | None, side: int) -> Strangers:
    if gallery is None:
        raise InputError(
            "An audit needs strangers to tell the person from.",
            "Give their photos with --gallery, a folder each.",
        )
    folder = Path(gallery)
    people = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not people:
        raise InputError(
            f"{gallery} holds no folders of photos.", "Give a folder with one folder a stranger."
        )
    photos = [_photos(person, side) for person in people]
    return Strangers(
        torch.cat(photos), [index for index, rows in enumerate(photos) for _ in range(len(rows))]
    )

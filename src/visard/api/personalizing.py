"""Teach a model a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from visard.api.kits import opened
from visard.api.photos import selector
from visard.errors import InputError
from visard.kits import Kit
from visard.personalization import memory_plans
from visard.personalization import personalize as personalization
from visard.personalization.personalize import Result
from visard.personalization.settings import PersonalizationSettings
from visard.progress import Progress, silent
from visard.settings import read_toml


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
    models = opened(kit, device)
    if models.embedded:
        if base is not None:
            raise InputError(
                "The embedded world's recognisers know its own people alone: they protect no real face.",
                "Give a kit of real recognisers with --kit, as in examples/, or leave out --base.",
            )
        tell("The embedded world's small models know procedural people: real ones take --kit and --base.")
    settings = _settings(models, base, config, privacy, changes)
    backbone = models.backbone(base)
    chosen = selector(models, backbone.resolution).select(photos, person, progress)
    chosen.require()
    if chosen.summary:
        tell(chosen.summary)
    if memory != "none":
        plan = memory_plans.choose(memory, settings, backbone)
        settings = memory_plans.applied(plan, settings, changes)
        tell(memory_plans.description(plan, settings, backbone))
    captions = [shot.caption for shot in chosen.used]
    if untaught := settings.prompts.untaught(captions):
        tell(f"No caption says {untaught!r}: the model will not know the person by that.")
    return personalization.run(
        settings,
        chosen.pictures,
        backbone,
        models.surrogates() if settings.needs_identity else [],
        models.detector(),
        folder=out,
        progress=progress,
        resume=resume,
        captions=captions,
        names=[shot.file.name for shot in chosen.used],
    )


def _settings(
    kit: Kit,
    base: str | Path | None,
    config: str | Path | PersonalizationSettings | None,
    privacy: str | None,
    changes: Mapping[str, Any],
) -> PersonalizationSettings:
    """Defaults, then what suits the kit, then the file, then what was asked for by name.

    What suits a kit suits its own base model: beside another one it is left out.
    """
    if isinstance(config, PersonalizationSettings):
        settings = config
    else:
        own = base is None or not kit.contents.backbone
        settings = PersonalizationSettings().with_preset(kit.personalization if own else {})
        if config is not None:
            table = read_toml(Path(config))
            settings = settings.with_preset(table.get("settings", table))  # run.toml has them one level down
    if privacy is not None:
        settings = settings.with_privacy(privacy)
    settings = settings.with_preset(changes)
    asked = privacy is not None or changes.get("decoupling", {}).get("rho") is not None
    if asked and not settings.has_dial:
        raise InputError(
            "Privacy was asked for, and these settings train without the defence that it turns.",
            'Set defence = "iddm", decoupling.schedule = "staged" and a radius above 0; or do not ask.',
        )
    return settings

"""`visard bench tmax`: what the one-step estimate holds at each timestep."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visard.cli.console import progress, result
from visard.cli.options import AsJson, BaseModel, Device, KitOption, Seed
from visard.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from visard.benchmark.timesteps import Study

SPLIT = "attacker_dev"


def tmax(
    people: Annotated[int, typer.Option(min=1, help="How many people, none of them under test.")] = 3,
    photos: Annotated[int, typer.Option(min=2, help="Photos of each to look at.")] = 3,
    draws: Annotated[int, typer.Option(min=2, help="Draws of noise at each timestep.")] = 3,
    timesteps: Annotated[
        str, typer.Option(help="Which ones, separated by commas.")
    ] = "0,50,100,200,300,400,500,600,800,950",
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the table as JSON.")] = None,
    kit: KitOption = "world",
    base: BaseModel = None,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure, with surrogates alone, how much of a face the one-step estimate holds at each timestep.

    Stage II draws timesteps below decoupling.t_max: where no face is left, its gradient is noise.

    \b
    visard bench tmax --to tmax.json
    """
    from visard.benchmark.people import world_camera
    from visard.benchmark.timesteps import study
    from visard.kits import open_kit
    from visard.models import choose_device
    from visard.personalization.settings import PersonalizationSettings
    from visard.targets import require_writable
    from visard.world.people import split_people

    require_writable(to)
    models = open_kit(kit, choose_device(device))
    settings = PersonalizationSettings().with_preset(models.personalization)
    with progress() as report:
        found = study(
            replace(settings, seed=seed),
            models,
            list(split_people(SPLIT, people)),
            world_camera,
            timesteps=_numbers(timesteps),
            photos=photos,
            draws=draws,
            base=base,
            progress=report,
        )
    if as_json:
        result(asdict(found), True, "")
    else:
        from rich.console import Console

        Console().print(_table(found))
    if to is not None:
        found.write(to)


def _numbers(text: str) -> list[int]:
    parts = [each.strip() for each in text.split(",")]
    if not all(each.isdecimal() for each in parts):
        raise InputError(
            f"--timesteps {text} is no list of timesteps.", "Give numbers: --timesteps 0,200,400"
        )
    return sorted({int(each) for each in parts})


def _table(found: Study) -> Table:
    from rich.table import Table

    strangers = ", ".join(f"{name} {_figure(value)}" for name, value in found.strangers.items())
    table = Table(
        title=f"{found.photos} photos of {len(found.people)} people ({SPLIT}), {found.draws} draws each, "
        f"after {found.fine_tuning_steps} fine-tuning steps",
        caption=f"two people's photos: {strangers}",
    )
    names = list(found.strangers)
    for name in ("t", "sqrt(abar)", "pictures", "face found", *names, "gradients agree", "signs agree"):
        table.add_column(name, justify="right")
    for row in found.rows:
        table.add_row(
            str(row.t),
            f"{row.signal:.3f}",
            str(row.pictures),
            f"{row.detected:.0%}",
            *(_figure(row.similarity[name]) for name in names),
            f"{row.agreement:.3f}",
            f"{row.signs:.3f}",
        )
    return table


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"

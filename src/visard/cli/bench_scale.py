"""`visard bench scale`: the same units by one worker of a Ray cluster and by several."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from visard.cli.console import progress, result
from visard.cli.options import AsJson, KitOption, Seed


def scale(
    out: Annotated[Path, typer.Argument(help="An empty folder; every unit is done twice.")],
    people: Annotated[int, typer.Option(min=1, help="How many people.")] = 2,
    arms: Annotated[str, typer.Option(help="Arms, by commas: each is a unit a person.")] = "none,0.1",
    workers: Annotated[int, typer.Option(min=2, help="Workers, each on a core of its own.")] = 2,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting, as fine_tuning.steps=200; repeatable."),
    ] = None,
    kit: KitOption = "world",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Do the same units with one worker of a Ray cluster, then with several: time and tables compared.

    \b
    visard bench scale scale/ --people 2 --workers 2
    """
    from visard.benchmark import job, protocol, scale
    from visard.benchmark.people import world_people
    from visard.kits import open_kit

    lineup = protocol.Lineup(strangers=20)
    asked = job.Job(
        people=world_people("attacker_dev", people),
        strangers=world_people("gallery", lineup.strangers),
        arms=protocol.parse_arms(arms),
        seeds=(seed,),
        workers=workers,
    )
    shared = protocol.build_protocol(
        open_kit(kit), protocol.parse_overrides(overrides or []), protocol.Sampling(pictures=4), lineup
    )
    with progress() as report:
        found = scale.measure(asked, shared, out, kit=kit, progress=report)
    equal = "the tables are equal" if found.same_tables else "the tables DIFFER"
    result(
        asdict(found) | {"ratio": found.ratio},
        as_json,
        f"{found.units} units: one worker {found.seconds_alone:.0f} s, {found.workers} workers "
        f"{found.seconds_together:.0f} s, {found.ratio:.2f} times as fast; {equal}.",
    )

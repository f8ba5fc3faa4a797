"""`visard bench table1` and its like: one command a table, whole or a slice at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from visard.benchmark.ablations import OWN
from visard.benchmark.paper import PAPER
from visard.benchmark.table import TEST, Table
from visard.cli.bench_attackers import attackers
from visard.cli.bench_options import (
    TABLES,
    ClusterAddress,
    Data,
    Gpus,
    Identities,
    MostMinutes,
    MostUnits,
    Out,
    PeopleCount,
    ReportOnly,
    Split,
    Workers,
    executor,
    hours_left,
    note_busy,
    note_left,
    note_left_out,
)
from visard.cli.console import progress, result
from visard.cli.options import AsJson, KitOption, Seed
from visard.cli.resuming import Resuming
from visard.errors import InputError

PAPER_PANEL, OWN_PANEL = "Tables of the paper", "Controls and decisions"


def add_tables(app: typer.Typer) -> None:
    """Give `app` a command for every table, and one that lists them."""
    for panel, tables in ((PAPER_PANEL, PAPER), (OWN_PANEL, OWN)):
        for table in tables:
            app.command(table.name, cls=Resuming, help=_help(table), rich_help_panel=panel)(_command(table))
    app.command("attackers", cls=Resuming, rich_help_panel=OWN_PANEL)(attackers)
    app.command(TABLES, rich_help_panel=PAPER_PANEL)(list_tables)


def list_tables(
    out: Annotated[
        Path | None, typer.Argument(help="A benchmark: also say what is left.", show_default=False)
    ] = None,
    people: PeopleCount = 10,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """List every table: how many units it takes, and in a benchmark's folder how many are left and how long.

    \b
    visard bench tables
    visard bench tables bench/
    """
    from visard.benchmark import catalogue, job, request
    from visard.benchmark.people import first_people
    from visard.benchmark.protocol import Protocol
    from visard.world.people import split_people

    protocol = Protocol.of(out) if out is not None else None
    rows = []
    for table in catalogue.CATALOGUE.values():
        from_folder = protocol is not None and bool(protocol.people)
        numbers = first_people(out, people) if out and from_folder else split_people(table.split, people)
        asked = job.Job(list(numbers), (), catalogue.arms_of(table), (seed,))
        row: dict[str, Any] = {"table": table.name, "units": len(asked.units), "caption": table.caption}
        if protocol is not None and not set(table.prompts) <= set(protocol.sampling.prompts):
            row["elsewhere"] = "its prompts are not this benchmark's: it takes a folder of its own"
        elif out is not None and protocol is not None and (table.split == TEST or not from_folder):
            place = request.home(out, table.split)
            undone = job.left(asked, protocol, place)
            row |= {"left": len(undone), "core_hours": catalogue.cost(undone, asked, protocol, place)}
        rows.append(row)
    result({"tables": rows}, as_json, "\n".join(_listed(row) for row in rows))


def _command(table: Table) -> Callable[..., None]:
    def make(
        out: Out,
        people: PeopleCount = 10,
        split: Split = None,
        data: Data = None,
        identities: Identities = None,
        pictures: Annotated[int, typer.Option(min=1, help="Pictures of each prompt.")] = 8,
        strangers: Annotated[int, typer.Option(min=2, help="Strangers in the gallery.")] = 111,
        seed: Seed = 0,
        kit: KitOption = "world",
        overrides: Annotated[
            list[str] | None,
            typer.Option("--set", metavar="NAME=VALUE", help="A setting; repeatable.", show_default=False),
        ] = None,
        steps: Annotated[int, typer.Option(min=1, help="Sampling steps of a picture.")] = 25,
        guidance: Annotated[
            float | None, typer.Option(min=0, help="Guidance.", show_default="that of the class pictures")
        ] = None,
        device: Annotated[str, typer.Option(help="Where to train and sample: cpu, cuda, mps.")] = "cpu",
        workers: Workers = 2,
        cluster: ClusterAddress = None,
        gpus: Gpus = 0.0,
        units: MostUnits = None,
        minutes: MostMinutes = None,
        beside: Annotated[
            list[Path] | None,
            typer.Option(metavar="OUT", help="Another benchmark whose rows follow; repeatable."),
        ] = None,
        keep_models: Annotated[
            bool, typer.Option("--keep-models", help="Do not delete a unit's model.")
        ] = False,
        report_only: ReportOnly = False,
        as_json: AsJson = False,
    ) -> None:
        from visard.benchmark import catalogue, job, request, table_report
        from visard.benchmark.datasets import audition_of, camera_of, read_people
        from visard.benchmark.protocol import Lineup, Protocol, Sampling, parse_overrides
        from visard.kits import open_kit
        from visard.models import choose_device

        execute, device = executor(cluster, gpus), choose_device(device)
        if identities is not None and data is None:
            raise InputError("--identities says who is in the pictures of --data.", "Give --data as well.")
        opened = open_kit(kit, device)
        lineup = Lineup(strangers=strangers)
        folk = read_people(data, lineup, identities) if data is not None else None
        split = split or table.split
        place = request.home(out, split)
        if report_only and folk is None:
            chosen, gallery = request.people_to_report(place, split, people), list[int]()
        else:
            with progress() as report:
                audition = audition_of(folk, place, lineup, opened, people + strangers, report)
                try:
                    chosen, gallery = request.people_to_ask(audition, split, people, strangers)
                finally:
                    note_left_out([] if audition is None else audition.left_out)
        asked = job.Job(chosen, gallery, catalogue.arms_of(table), (seed,), workers, keep_models)
        busy = []
        if not report_only:
            sampling = Sampling(request.prompts_for(table.prompts, out), pictures, steps, guidance)
            changes = parse_overrides(overrides or [])
            protocol = request.protocol_for(table, opened, changes, sampling, lineup, device, folk)
            with progress() as report:
                busy = job.run(
                    asked,
                    protocol,
                    place,
                    kit=kit,
                    camera=camera_of(folk, lineup, opened),
                    execute=execute,
                    part=job.Slice(units, minutes),
                    progress=report,
                )
        others = [(other, split) for other in beside or []]
        files, text = table_report.write(table, asked, place, out / TABLES, opened, others)
        protocol = Protocol.of(place)
        undone = job.left(asked, protocol, place)
        hours = catalogue.cost(undone, asked, protocol, place)
        values = {
            "table": table.name,
            "files": [str(file) for file in files],
            "units": len(asked.units),
            "left": len(undone),
            "core_hours": hours,
        }
        result(values, as_json, text)
        note_busy(busy)
        note_left(len(undone), len(asked.units), hours)

    return make


def _help(table: Table) -> str:
    return f"{table.caption}\n\n{table.stands_in}".strip()


def _listed(row: dict[str, Any]) -> str:
    left = f", {row['left']} left{hours_left(row['core_hours'])}" if "left" in row else ""
    elsewhere = f" ({row['elsewhere']})" if "elsewhere" in row else ""
    return f"{row['table']:<12}{row['units']:>4} units{left}  {row['caption']}{elsewhere}"

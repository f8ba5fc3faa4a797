"""`visard bench`: the whole method on many people, with what it must show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from visard.cli.bench_options import ARMS, MostMinutes, MostUnits, Out, Workers, note_busy, note_left
from visard.cli.bench_packing import add_packing
from visard.cli.bench_tables import add_tables
from visard.cli.console import progress, result
from visard.cli.options import AsJson, KitOption, Seed
from visard.cli.resuming import Resuming
from visard.errors import InputError

MAIN = "bench main"
"""Names the place for the tables in a page."""

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Many people, every arm on the same seeds, one table.",
)


@app.command(cls=Resuming)
def main(
    out: Out,
    people: Annotated[int, typer.Option(min=1, help="How many unseen people.")] = 10,
    split: Annotated[
        str, typer.Option(help="Whose people: test for figures, attacker_dev for choosing settings.")
    ] = "test",
    arms: Annotated[
        str,
        typer.Option(help=ARMS),
    ] = "none,0.1,0.3,0.5",
    pictures: Annotated[int, typer.Option(min=1, help="Pictures of each prompt.")] = 8,
    seed: Seed = 0,
    workers: Workers = 2,
    kit: KitOption = "world",
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A setting, e.g. decoupling.t_max=1000; repeatable."
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Sampling steps of a picture.")] = 25,
    guidance: Annotated[
        float | None,
        typer.Option(min=0, help="Classifier-free guidance.", show_default="that of the class pictures"),
    ] = None,
    strangers: Annotated[int, typer.Option(min=2, help="Strangers in the gallery.")] = 111,
    device: Annotated[str, typer.Option(help="Where to train and sample: cpu, cuda, mps.")] = "cpu",
    keep_models: Annotated[
        bool, typer.Option("--keep-models", help="Do not delete a unit's model once its pictures are made.")
    ] = False,
    units: MostUnits = None,
    minutes: MostMinutes = None,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Only write the tables anew, from the finished units.")
    ] = False,
    into: Annotated[
        Path | None, typer.Option(metavar="PAGE", help="Also put the tables between the marks of a page.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Personalise, sample and score people of the embedded world whom no model has seen.

    Stopped at any time, or after a slice of the units, the same command goes on. One folder holds one set of
    options; more people, arms and seeds may be added to it. The tables are of what is asked for, whatever
    else is finished there.

    \b
    visard bench main bench/
    visard bench main bench-t1000/ --split attacker_dev --arms 0.1 --set decoupling.t_max=1000
    visard bench main bench/ --people 10 --arms none,0.1 --report-only
    """
    from rich.console import Console

    from visard.benchmark import acceptance, catalogue, job, measures, protocol, request, tables
    from visard.kits import open_kit
    from visard.models import choose_device
    from visard.pages import around, insert

    if into is not None:
        around(into, MAIN)
    if report_only:
        chosen, gallery = request.people_to_report(out, split, people), list[int]()
    else:
        chosen, gallery = request.people_to_ask(None, split, people, strangers)
    asked = job.Job(
        people=chosen,
        strangers=gallery,
        arms=protocol.parse_arms(arms),
        seeds=(seed,),
        workers=workers,
        keep_models=keep_models,
    )
    if not report_only:
        device = choose_device(device)
        shared = protocol.build_protocol(
            open_kit(kit, device),
            protocol.parse_overrides(overrides or []),
            protocol.Sampling(
                request.prompts_for(protocol.PROMPTS, out, protocol.PROMPTS), pictures, steps, guidance
            ),
            protocol.Lineup(strangers=strangers),
            device,
        )
        with progress() as report:
            busy = job.run(asked, shared, out, kit=kit, part=job.Slice(units, minutes), progress=report)
        note_busy(busy)
    shared = protocol.Protocol.of(out)
    wanted = set(asked.units)
    finished = [each for each in job.finished(out) if each.unit in wanted]
    if not finished:
        raise InputError(
            f"No unit in {out} that is asked for is finished.",
            "The command without --report-only goes on; or name --people, --split, --arms, --seed that are.",
        )
    measured = measures.Measures(shared.kit, out, finished)
    found, checks = measured.summary, acceptance.acceptance(measured)
    tables.write_tables(out, found, checks, shared)
    if as_json:
        result(json.loads(tables.as_json(found, checks, shared)), True, "")
    else:
        Console().print(tables.terminal(found, checks))
        result({}, False, f"The tables are in {out / 'table.md'}")
    if into is not None:
        insert(into, MAIN, tables.markdown(found, checks, shared))
    undone = job.left(asked, shared, out)
    note_left(len(undone), len(wanted), catalogue.cost(undone, asked, shared, out))


@app.command("arms")
def list_arms(as_json: AsJson = False) -> None:
    """List the arms that --arms takes, and what each is.

    \b
    visard bench arms
    """
    from visard.benchmark.methods import ARMS as KNOWN

    width = max(map(len, KNOWN)) + 2
    result({"arms": KNOWN}, as_json, "\n".join(f"{name:<{width}}{what}" for name, what in KNOWN.items()))


@app.command()
def figure(
    out: Out,
    person: Annotated[int, typer.Option(min=0, help="Which of the benchmark's people, 0 the first.")] = 0,
    arms: Annotated[str, typer.Option(help="The rows below the photos.")] = "none,0.1",
    prompt: Annotated[str | None, typer.Option(help="Which prompt's pictures.", show_default="first")] = None,
    columns: Annotated[int, typer.Option(min=1, help="Pictures in a row.")] = 6,
    seed: Seed = 0,
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="The PNG.", show_default="in OUT")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw one person's photos, undefended and defended pictures, each with its similarity to the person.

    \b
    visard bench figure bench/ --person 3 --to docs/person.png
    """
    from visard.benchmark import job, protocol
    from visard.benchmark.figure import person_figure
    from visard.images import save_image

    shared = protocol.Protocol.of(out)
    results = [each for each in job.finished(out) if each.unit.seed == seed]
    people = sorted({each.unit.person for each in results})
    if person >= len(people):
        raise InputError(f"{len(people)} people are finished in {out}.", "Choose a smaller --person.")
    sheet = person_figure(
        results,
        out,
        people[person],
        protocol.parse_arms(arms),
        prompt or shared.sampling.prompts[0],
        columns,
    )
    file = to or out / f"person-{person}.png"
    save_image(sheet, file)
    result({"figure": str(file)}, as_json, f"The figure is in {file}")


add_tables(app)
add_packing(app)

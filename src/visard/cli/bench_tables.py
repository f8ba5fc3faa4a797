"""`visard bench table1` and its like: one command a table, whole or a slice at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visard.benchmark.ablations import OWN
from visard.benchmark.paper import PAPER
from visard.benchmark.table import TEST, Table
from visard.cli.console import note, progress, result
from visard.cli.options import AsJson, KitOption, SameData, SameIdentities, Seed
from visard.cli.resuming import Resuming
from visard.errors import InputError

if TYPE_CHECKING:
    from visard.benchmark.datasets import Audition, People
    from visard.benchmark.job import Executor, Job
    from visard.benchmark.protocol import Lineup, Protocol
    from visard.kits import Kit

TABLES = "tables"
"""Folder of the tables inside a benchmark's."""
PAPER_PANEL, OWN_PANEL = "Tables of the paper", "Controls and decisions"

Out = Annotated[Path, typer.Argument(help="Folder of the benchmark: photos, units and tables.")]
PeopleCount = Annotated[int, typer.Option("--people", min=1, help="How many people; the paper has 50.")]
Split = Annotated[
    str | None,
    typer.Option(
        help="Whose people: test for figures, attacker_dev for choices.", show_default="the table's"
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="People: a folder each, as VGGFace2 has it; or, with --identities, CelebA-HQ's pictures.",
        show_default="the embedded world",
    ),
]
Identities = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help='CelebA\'s identity file, lines "000001.jpg 2880".', show_default=False
    ),
]
Workers = Annotated[int, typer.Option(min=1, help="Units at a time, each on one thread.")]
ClusterAddress = Annotated[
    str | None,
    typer.Option(
        "--cluster", metavar="ADDRESS", help="Do units on a Ray cluster that sees OUT.", show_default=False
    ),
]
Gpus = Annotated[float, typer.Option(min=0, help="Share of a GPU a unit takes on the cluster.")]
MostUnits = Annotated[
    int | None, typer.Option("--units", min=0, help="Do at most so many units.", show_default=False)
]
MostMinutes = Annotated[
    float | None, typer.Option("--minutes", min=0, help="Stop after so many minutes.", show_default=False)
]
ReportOnly = Annotated[
    bool, typer.Option("--report-only", help="Only write the table, from the finished units.")
]


def add_tables(app: typer.Typer) -> None:
    """Give `app` a command for every table, and one that lists them."""
    for panel, tables in ((PAPER_PANEL, PAPER), (OWN_PANEL, OWN)):
        for table in tables:
            app.command(table.name, cls=Resuming, help=_help(table), rich_help_panel=panel)(_command(table))
    app.command("attackers", cls=Resuming, rich_help_panel=OWN_PANEL)(attackers)
    app.command(TABLES, rich_help_panel=PAPER_PANEL)(list_tables)


def attackers(
    out: Out,
    arms: Annotated[str, typer.Option(help="Which of the finished arms to attack.")] = "none,0.1",
    tier: Annotated[str, typer.Option(help="The highest tier, T0 to T5; lower ones are run too.")] = "T4",
    dev: Annotated[int, typer.Option(min=2, help="People the attacker makes choices on.")] = 10,
    train: Annotated[int, typer.Option(min=3, help="People the attacker learns from (T4).")] = 20,
    leaked: Annotated[int, typer.Option(min=1, help="Pictures of each prompt from a model (T5).")] = 8,
    seed: Seed = 0,
    data: SameData = None,
    identities: SameIdentities = None,
    kit: KitOption = "world",
    workers: Workers = 2,
    cluster: ClusterAddress = None,
    gpus: Gpus = 0.0,
    units: MostUnits = None,
    minutes: MostMinutes = None,
    report_only: ReportOnly = False,
    as_json: AsJson = False,
) -> None:
    """Attack several arms of a benchmark, as visard attack does one: a column a tier.

    Units are the models of the attacker's own people, what a leaked model draws (T5), and the attack on an
    arm. Stopped at any time, or after a slice of them, the same command goes on. T5 needs the models of the
    people under attack: a benchmark made with --keep-models. An arm made of words alone has no model file.

    Of a benchmark made with --data, the attacker's people are others of the same folder: name it again.

    \b
    visard bench attackers bench/ --arms none,0.1,attributes,strangers --tier T5
    visard bench attackers bench/ --workers 4 --minutes 60
    visard bench attackers bench-vgg/ --data vggface2/ --dev 5 --train 10
    """
    from visard.attacks.result import as_tree
    from visard.benchmark import attackers as table
    from visard.benchmark import catalogue
    from visard.benchmark.attack import prepare
    from visard.benchmark.job import Slice

    with progress() as report:
        campaign, camera, left_out = prepare(
            out,
            arms,
            tier,
            {"dev": dev, "train": train, "leaked": leaked, "workers": workers},
            data=data,
            identities=identities,
            kit=kit,
            seed=seed,
            progress=report,
        )
        if not report_only:
            campaign.run(
                camera=camera, execute=_executor(cluster, gpus), part=Slice(units, minutes), progress=report
            )
    _note_left_out(left_out)
    found, left = campaign.found(), campaign.left()
    hours = catalogue.cost(left.models, campaign.training, campaign.protocol, campaign.own)
    values = {
        "table": table.NAME,
        "files": [str(file) for file in table.write(found, out / TABLES)],
        "units": campaign.size,
        "left": len(left),
        "core_hours": hours,
        "arms": {arm: as_tree(each) for arm, each in found.items()},
    }
    result(values, as_json, table.markdown(found))
    note_left(len(left), campaign.size, hours)


def list_tables(
    out: Annotated[
        Path | None, typer.Argument(help="A benchmark: also say what is left.", show_default=False)
    ] = None,
    people: PeopleCount = 10,
    seed: Seed = 0,
    _list: Annotated[bool, typer.Option("--list", help="List the tables, which is all this does.")] = True,
    as_json: AsJson = False,
) -> None:
    """List every table: how many units it takes, and in a benchmark's folder how many are left and how long.

    \b
    visard bench tables --list
    visard bench tables bench/
    """
    from visard.benchmark import catalogue, job
    from visard.benchmark.protocol import Protocol
    from visard.world.people import split_people

    protocol = Protocol.of(out) if out is not None else None
    rows = []
    for table in catalogue.CATALOGUE.values():
        from_folder = protocol is not None and bool(protocol.people)
        numbers = range(people) if from_folder else split_people(table.split, people)
        asked = job.Job(list(numbers), (), catalogue.arms_of(table), (seed,))
        row: dict[str, Any] = {"table": table.name, "units": len(asked.units), "caption": table.caption}
        if protocol is not None and not set(table.prompts) <= set(protocol.sampling.prompts):
            row["elsewhere"] = "its prompts are not this benchmark's: it takes a folder of its own"
        elif out is not None and protocol is not None and (table.split == TEST or not from_folder):
            home = _home(out, table.split)
            undone = job.left(asked, protocol, home)
            row |= {"left": len(undone), "core_hours": catalogue.cost(undone, asked, protocol, home)}
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
        from visard.benchmark import catalogue, job
        from visard.benchmark.datasets import audition_of, camera_of, read_people
        from visard.benchmark.protocol import Lineup, parse_overrides
        from visard.kits import open_kit
        from visard.models import choose_device

        device = choose_device(device)
        opened = open_kit(kit, device)
        lineup = Lineup(strangers=strangers)
        folk = read_people(data, lineup, identities) if data is not None else None
        split = split or table.split
        home = _home(out, split)
        if report_only and folk is None:
            chosen, gallery = people_to_report(home, split, people), list[int]()
        else:
            with progress() as report:
                audition = audition_of(folk, home, lineup, opened, people + strangers, report)
                chosen, gallery = _people(audition, split, people, strangers)
        asked = job.Job(chosen, gallery, catalogue.arms_of(table), (seed,), workers, keep_models)
        if not report_only:
            sampling = _sampling(table, out, pictures, steps, guidance)
            protocol = build(opened, table, parse_overrides(overrides or []), sampling, lineup, device, folk)
            with progress() as report:
                job.run(
                    asked,
                    protocol,
                    home,
                    kit=kit,
                    camera=camera_of(folk, lineup, opened),
                    execute=_executor(cluster, gpus),
                    part=job.Slice(units, minutes),
                    progress=report,
                )
        _report(table, asked, home, out / TABLES, opened, beside or [], as_json)

    return make


def build(
    kit: Kit,
    table: Table,
    overrides: dict[str, Any],
    sampling: Any,
    lineup: Lineup,
    device: str,
    folk: People | None,
) -> Protocol:
    """The protocol of a table's units. Raises InputError when an option sets what the table varies."""
    from visard.benchmark.protocol import arm_settings, build_protocol

    given = _leaves(overrides)
    for arm in table.arms:
        clash = given & _leaves(arm_settings(arm))
        if clash:
            raise InputError(
                f"{table.name} decides {min(clash)} itself.", "Leave it out, or use visard bench main."
            )
    digest = folk.digest if folk is not None else ""
    return build_protocol(kit, overrides, sampling, lineup, device, digest)


def _report(
    table: Table, asked: Job, out: Path, folder: Path, kit: Kit, beside: list[Path], as_json: bool
) -> None:
    """Write and print the table, its plot and its pictures, and say what is left."""
    from visard.benchmark import catalogue, gallery, job, layout, pareto
    from visard.benchmark.measures import Measures
    from visard.benchmark.protocol import Protocol
    from visard.images import save_image
    from visard.storage import atomic_write

    protocol, wanted = Protocol.of(out), set(asked.units)
    mine = [each for each in job.finished(out) if each.unit in wanted]
    measured = [Measures(f"ours, {protocol.kit}", out, mine, kit)] if mine else []
    for other in beside:
        theirs = [each for each in job.finished(other) if each.unit.arm in table.arms]
        if theirs:
            same = kit if Protocol.of(other).kit == protocol.kit else None
            measured.append(Measures(f"ours, {Protocol.of(other).kit}, {other.name}", other, theirs, same))
    files = layout.write(table, measured, folder)
    if mine:
        atomic_write(folder / f"{table.name}.svg", pareto.draw(table, measured[0]).encode())
        sheet = gallery.draw(table, mine, out)
        if sheet is not None:
            save_image(sheet, folder / f"{table.name}.png")
    undone = job.left(asked, protocol, out)
    hours = catalogue.cost(undone, asked, protocol, out)
    values = {
        "table": table.name,
        "files": [str(file) for file in files],
        "units": len(wanted),
        "left": len(undone),
        "core_hours": hours,
    }
    result(values, as_json, layout.markdown(table, measured))
    note_left(len(undone), len(wanted), hours)


def note_left(left: int, units: int, hours: float | None) -> None:
    """Say on stderr how much of what was asked for is not done."""
    if left:
        note(f"{left} of {units} units are left{_hours(hours)}: the same command goes on.")


def _home(out: Path, split: str) -> Path:
    """Where a split's units lie: the attacker's own people are apart, and a campaign finds them."""
    from visard.benchmark.leaks import ATTACKER

    return out if split == TEST else out / ATTACKER


def people_to_report(out: Path, split: str, count: int) -> list[int]:
    """Whose units a report takes: the world's, or the first that a folder's benchmark has finished."""
    from visard.benchmark import job
    from visard.benchmark.people import world_people
    from visard.benchmark.protocol import Protocol

    if Protocol.of(out).people:
        return sorted({each.unit.person for each in job.finished(out)})[:count]
    return world_people(split, count)


def _people(audition: Audition | None, split: str, count: int, strangers: int) -> tuple[list[int], list[int]]:
    """Numbers of the people and of the gallery's strangers. Raises InputError."""
    from visard.benchmark.people import world_people

    if audition is None:
        return world_people(split, count), world_people("gallery", strangers)
    try:
        return audition.people.choose(split, count, strangers, audition)
    finally:
        _note_left_out(audition.left_out)


def _note_left_out(people: Sequence[str]) -> None:
    """Say on stderr of whom a folder has too few photos that can be used."""
    for reason in people:
        note(f"Left out: {reason}")


def _sampling(table: Table, out: Path, pictures: int, steps: int, guidance: float | None) -> Any:
    """All the tables' prompts, so that a model is trained once for all; or those a benchmark there has."""
    from visard.benchmark.paper import PROMPTS
    from visard.benchmark.protocol import PROTOCOL_FILE, Protocol, Sampling

    prompts: tuple[str, ...] = PROMPTS
    if (out / PROTOCOL_FILE).is_file():
        there = Protocol.of(out).sampling.prompts
        prompts = there if set(table.prompts) <= set(there) else PROMPTS
    return Sampling(prompts=prompts, pictures=pictures, steps=steps, guidance=guidance)


def _executor(address: str | None, gpus: float) -> Executor[Any] | None:
    if address is None:
        return None
    from visard.benchmark.cluster import Cluster

    return Cluster(address, gpus=gpus)


def _leaves(table: Any, path: str = "") -> set[str]:
    """Dotted names of all values of a nested table."""
    if not isinstance(table, dict):
        return {path}
    return {leaf for name, value in table.items() for leaf in _leaves(value, f"{path}.{name}".strip("."))}


def _help(table: Table) -> str:
    return f"{table.caption}\n\n{table.stands_in}".strip()


def _listed(row: dict[str, Any]) -> str:
    left = f", {row['left']} left{_hours(row['core_hours'])}" if "left" in row else ""
    elsewhere = f" ({row['elsewhere']})" if "elsewhere" in row else ""
    return f"{row['table']:<12}{row['units']:>4} units{left}  {row['caption']}{elsewhere}"


def _hours(hours: float | None) -> str:
    return "" if hours is None else f", about {hours:.1f} core-hours"

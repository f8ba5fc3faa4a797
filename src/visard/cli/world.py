"""`visard world`: the embedded world's people and models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visard.cli.console import progress, result
from visard.cli.options import AsJson, KitOption, Seed
from visard.cli.resuming import Resuming

PAGE = "world check"
"""Names the place for the table in a page."""

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="People who do not exist, and the small models that are trained on them.",
)


@app.command()
def sample(
    out: Annotated[Path, typer.Argument(help="Folder the people are written to, one folder each.")],
    people: Annotated[int, typer.Option(min=1, help="How many people.")] = 3,
    per_person: Annotated[int, typer.Option(min=1, help="Photos of each.")] = 8,
    split: Annotated[
        str,
        typer.Option(help="Which people: test, gallery, base, surrogate, judge and others; none is in two."),
    ] = "test",
    first: Annotated[int, typer.Option(min=0, help="The first person's place in the split.")] = 0,
    masks: Annotated[
        bool, typer.Option("--masks", help="Also write masks of hair, skin, eyes and others.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Render photos of people, with the truth about each picture.

    visard world sample people/ --people 10
    visard world sample strangers/ --split gallery --people 100 --per-person 2
    """
    from visard.world.sampling import sample as render

    with progress() as report:
        folders = render(out, people, per_person, split=split, first=first, masks=masks, progress=report)
    values = {"folder": str(out), "people": [str(folder) for folder in folders]}
    result(values, as_json, f"{len(folders)} people are in {out}")


@app.command(cls=Resuming)
def render(
    split: Annotated[
        str, typer.Argument(help="Which people: base, surrogate, judge, regressor, gallery, test.")
    ],
    data: Annotated[Path, typer.Option(help="Folder of rendered people.")],
    people: Annotated[int, typer.Option(min=1, help="How many people.")] = 2000,
    per_person: Annotated[int, typer.Option(min=1, help="Pictures of each.")] = 8,
    styles: Annotated[float, typer.Option(min=0, max=1, help="Share of drawings and watercolours.")] = 0.0,
    zoom: Annotated[float, typer.Option(min=0.25, max=1, help="Below 1: the face region alone.")] = 1.0,
    part: Annotated[
        tuple[int, int], typer.Option(help="I N: render every N-th shard, for N processes side by side.")
    ] = (0, 1),
    as_json: AsJson = False,
) -> None:
    """Render a training set of the world, in shards; given again, it goes on where it was stopped.

    visard world render base --data renders/ --people 2200 --per-person 6 --styles 0.14
    visard world render surrogate --data renders/ --people 1800 --zoom 0.75
    """
    from visard.world.dataset import render_split

    with progress() as report:
        render_split(split, people, per_person, data, styles=styles, zoom=zoom, part=part, progress=report)
    values = {"split": split, "pictures": people * per_person}
    result(values, as_json, f"{people * per_person} pictures of {split} are in {data}")


@app.command()
def check(
    data: Annotated[Path, typer.Option(help="Folder the check's own renders are kept in.")] = Path("renders"),
    kit: KitOption = "world",
    into: Annotated[
        Path | None, typer.Option(metavar="PAGE", help="Also put the table between the marks of a page.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure again what the world's models have to show, on people none of them has seen.

    Takes some twenty minutes on two cores; most of it renders people and personalises two of them.

    visard world check
    """
    from rich.console import Console

    from visard.kits import open_kit
    from visard.pages import around, insert
    from visard.world import check as checks

    if into is not None:
        around(into, PAGE)
    with progress() as report:
        findings = checks.check(open_kit(kit), data, progress=report)
    if not as_json:
        Console().print(checks.table(findings))
    failed = sum(finding.passed is False for finding in findings)
    result(checks.as_json(findings), as_json, f"{failed} of {len(findings)} figures fall short")
    if into is not None:
        insert(into, PAGE, checks.markdown(findings))
    if failed:
        raise typer.Exit(1)


@app.command(cls=Resuming)
def train(
    name: Annotated[str, typer.Argument(help="The model to train; a wrong name lists them all.")],
    data: Annotated[Path, typer.Option(help="Folder of rendered people.")],
    out: Annotated[Path, typer.Option(help="Folder of models to write into.")],
    minutes: Annotated[float | None, typer.Option(min=0, help="Train this long.")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Or this many steps: same seed, same model.")
    ] = None,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps.")] = "cpu",
    start: Annotated[
        Path | None, typer.Option(help="Models of an earlier generation whose weights it begins with.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train one model of the world from a seed; given again, it goes on where it was stopped.

    visard world train irse --data renders/ --out models/ --minutes 30
    visard world train irse --data more-renders/ --out next/ --start models/ --minutes 30
    """
    from visard.models import choose_device
    from visard.world.recipes import Job, build

    with progress() as report:
        job = Job(data, out, minutes, steps, seed, choose_device(device), report, start)
        scores = build(name, job)
    result(scores, as_json, "\n".join(f"{score}: {value}" for score, value in scores.items()))

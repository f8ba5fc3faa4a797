"""`visard world`: the embedded world's people and models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visard.cli.console import progress, result
from visard.cli.options import AsJson, Seed

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


@app.command()
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
    as_json: AsJson = False,
) -> None:
    """Train one model of the world from a seed; given again, it goes on where it was stopped.

    visard world train irse --data renders/ --out models/ --minutes 30
    """
    from visard.world.recipes import Job, build

    with progress() as report:
        job = Job(data, out, minutes, steps, seed, device, report)
        scores = build(name, job)
    result(scores, as_json, "\n".join(f"{score}: {value}" for score, value in scores.items()))

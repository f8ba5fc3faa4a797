"""`visard photos`: what a folder of photos is good for, before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from visard.cli.console import note, progress, result
from visard.cli.options import AsJson, BaseModel, Device, KitOption
from visard.errors import InputError
from visard.storage import atomic_write
from visard.targets import require_writable

if TYPE_CHECKING:
    from visard.photos.selection import Selection

STYLES = {"used": "green", "used with a warning": "yellow", "left out": "red", "unreadable": "red"}
SHEETS = (".html", ".png")

app = typer.Typer(no_args_is_help=True, help="Look at photos before training: who is in them, which serve.")

Folder = Annotated[Path, typer.Argument(help="Folder with photos of the person, bystanders allowed.")]
Person = Annotated[
    int | None,
    typer.Option(min=1, help="Whose face: the number on the contact sheet.", show_default="found"),
]
Size = Annotated[
    int | None,
    typer.Option(min=32, max=2048, help="Pixels of the cut squares.", show_default="the base model's"),
]


@app.command("check")
def check(
    folder: Folder,
    out: Annotated[
        Path | None, typer.Option(metavar="SHEET", help="Write a contact sheet: .html or .png.")
    ] = None,
    names: Annotated[bool, typer.Option("--names", help="Show file names on the sheet.")] = False,
    person: Person = None,
    size: Size = None,
    kit: KitOption = "world",
    base: BaseModel = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Say which photos a personalisation would use, how it would cut them, and why not the others.

    The person is the face that is common to the photos. Nothing is kept except the sheet asked for, which
    shows the photos: treat it like them. Exits with 2 when the photos cannot be trained with as they are.

    \b
    visard photos check photos/
    visard photos check photos/ --out sheet.html --kit real.toml
    visard photos check photos/ --out sheet.png --person 2
    """
    if out is not None and out.suffix.lower() not in SHEETS:
        raise InputError(f"{out} is no contact sheet.", "End its name in .html or .png.")
    require_writable(out)
    selection = _select(folder, person, size, kit, base, device)
    if out is not None:
        _write_sheet(selection, out, names)
    if as_json:
        result(selection.to_json(), True, "")
    else:
        _print(selection)
    if out is not None:
        note(f"The contact sheet is in {out}")
    selection.require()


@app.command("prepare")
def prepare(
    folder: Folder,
    out: Annotated[Path, typer.Argument(help="New folder for the cut pictures and their captions.")],
    person: Person = None,
    size: Size = None,
    kit: KitOption = "world",
    base: BaseModel = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Write the squares that a personalisation would use, with their captions and without any metadata.

    \b
    visard photos prepare photos/ squares/ --kit real.toml
    """
    from visard import api
    from visard.photos.prepare import require_new

    require_new(out)
    selection = _select(folder, person, size, kit, base, device)
    written = api.prepare_photos(selection, out)
    if selection.summary:
        note(selection.summary)
    values = {"pictures": [str(file) for file in written], **selection.to_json()}
    result(values, as_json, f"{len(written)} pictures of {selection.size} px are in {out}")


def _select(
    folder: Path, person: int | None, size: int | None, kit: str, base: str | None, device: str
) -> Selection:
    from visard import api  # not at the top: it takes seconds, and --help should not

    with progress() as report:
        return api.select_photos(
            folder, person=person, size=size, kit=kit, base=base, device=device, progress=report
        )


def _write_sheet(selection: Selection, out: Path, names: bool) -> None:
    if out.suffix.lower() == ".html":
        from visard.photos.sheet import render_sheet

        atomic_write(out, render_sheet(selection, names=names).encode())
    else:
        from visard.images import save_image
        from visard.photos.poster import draw_sheet

        save_image(draw_sheet(selection, names=names), out)


def _print(selection: Selection) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("photo", justify="right")
    table.add_column("file", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("why", ratio=1)
    for shot in selection.shots:
        colour = STYLES[shot.verdict]
        why = "\n".join(shot.said)
        table.add_row(str(shot.number), escape(shot.file.name), f"[{colour}]{shot.verdict}[/]", escape(why))
    console = Console()
    console.print(table, highlight=False)
    console.print(selection.choice, markup=False, highlight=False)
    console.print(f"{len(selection.used)} of {len(selection.shots)} photos would be used.", highlight=False)

"""`visard models`: published models, which of them are here, whether they are read rightly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visard.cli.console import note, progress, result
from visard.cli.options import AsJson

if TYPE_CHECKING:
    from rich.table import Table

    from visard.zoo.examine import Finding

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Published recognisers and detectors: list, add, check, and what their licences allow.",
)


@app.command("list")
def show(as_json: AsJson = False) -> None:
    """Show the published models that can be used, which of them are on this machine, and their licence.

    visard models list
    """
    from visard.zoo.folder import added, models_folder
    from visard.zoo.table import entries

    known = entries()
    here = {name: added(name) for name in known}
    values = {
        name: {
            **asdict(entry),
            "differentiable": entry.differentiable,
            "sha256_here": present.sha256 if (present := here[name]) else None,
        }
        for name, entry in known.items()
    }
    if not as_json:
        rows = [
            (name, entry.kind, entry.family, _presence(entry.kind, here[name]), entry.weights_licence)
            for name, entry in known.items()
        ]
        _print(("model", "kind", "family", "here", "licence of the weights"), rows)
    count = sum(present is not None for present in here.values())
    result({"folder": str(models_folder()), "models": values}, as_json, f"{count} are in {models_folder()}")


@app.command()
def add(
    file: Annotated[
        Path, typer.Argument(help="The file as published: .pth, .ckpt, .pt, .safetensors, .onnx, .xml.")
    ],
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="Which model it is: visard models list.")],
    link: Annotated[bool, typer.Option("--link", help="Link to the file instead of copying it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take in a published model's file: it is loaded strictly, checked, and copied to the models folder.

    Kits then name it as `zoo = "NAME"`. The folder is $VISARD_MODELS, or the platform's place for data.

    \b
    visard models add downloads/model_ir_se50.pth --as irse50
    """
    from visard.zoo.examine import take_in
    from visard.zoo.folder import file_of
    from visard.zoo.table import find

    entry = find(name)
    taken = take_in(entry, file, link=link)
    for warning in taken.warnings:
        note(f"Note: {warning}")
    values = {
        "name": name,
        "file": str(file_of(entry)),
        "sha256": taken.sha256,
        "licence": entry.weights_licence,
    }
    result(
        {**values, "warnings": taken.warnings},
        as_json,
        f"{name} is in {file_of(entry).parent}\nLicence of its weights: {entry.weights_licence}",
    )


@app.command()
def check(
    what: Annotated[
        str,
        typer.Argument(metavar="[NAME|KIT]", help="A published model, world, or a kit file; else all here."),
    ] = "",
    photos: Annotated[
        Path | None, typer.Option(help="Photos of known people, a folder each, to tell them apart.")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Keep the similarities of models not recorded yet.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make sure that recognisers see what they were trained on: channel order, range, alignment.

    On six known pictures they must give the similarities once recorded. With --photos, what is declared must
    tell people apart better than a wrong channel order or range would.

    \b
    visard models check irse50 --photos people/
    visard world sample people/ --people 10 && visard models check world --photos people/
    """
    from visard.errors import ModelError
    from visard.kits import open_kit
    from visard.zoo.examine import Models, examine, published

    if what == "world" or what.endswith(".toml"):
        kit = open_kit(what)
        models = Models([kit.detector()] if kit.contents.detector else [], kit.digested_recognizers())
    else:
        models = published(what)
    with progress() as report:
        findings = examine(
            models,
            photos,
            other_detector=lambda: open_kit("world").detector(),
            keep=record,
            progress=report,
        )
    if not as_json:
        rows = [(each.name, each.role, each.recorded, _separation(each)) for each in findings]
        _print(("model", "kind", "known pictures", "photos"), rows)
    for each in findings:
        if each.warning:
            note(f"Warning: {each.name}: {each.warning}")
    wrong = [each for each in findings if each.wrong]
    values = {"models": [{**asdict(each), "warning": each.warning} for each in findings], "wrong": len(wrong)}
    result(values, as_json, f"{len(findings)} looked at, {len(wrong)} wrong")
    if wrong:
        raise ModelError(
            f"{wrong[0].name} is not read as it was trained: {wrong[0].wrong}.",
            "Correct its input in the kit, or get the file that was meant.",
        )


@app.command()
def licenses(
    kit: Annotated[
        str, typer.Argument(metavar="[KIT]", help="world, a kit file; else every published model.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show what the makers of a kit's models allow; many weights are for research alone.

    visard models licenses my-kit.toml
    """
    from visard.kits import open_kit
    from visard.zoo.rows import licence
    from visard.zoo.table import entries

    found = (
        open_kit(kit).licences() if kit else [licence(e.name, e.kind, zoo=e.name) for e in entries().values()]
    )
    if not as_json:
        rows = [(each.model, each.role, each.weights, each.code, each.training) for each in found]
        _print(("model", "use", "weights", "code", "trained on"), rows)
    result({"licences": [asdict(each) for each in found]}, as_json, f"{len(found)} models")


def _presence(kind: str, present: Any) -> str:
    return "by --base" if kind == "base" else "yes" if present else ""


def _separation(finding: Finding) -> str:
    if finding.separation is None:
        return finding.detected
    least = max(finding.separation.alternatives.values(), default=0.0)
    return f"{finding.separation.declared:.2f}, else at most {least:.2f}"


def _print(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table: Table = Table(box=None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index == 0)
    for row in rows:
        table.add_row(*row)
    Console(soft_wrap=True).print(table, markup=False)

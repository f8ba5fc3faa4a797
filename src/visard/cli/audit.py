"""`visard audit`: what pictures give away."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visard.cli.console import note, progress, result
from visard.cli.options import AsJson, Device, KitOption

if TYPE_CHECKING:
    from visard.audit import AuditResult, Flag


def audit(
    pictures: Annotated[Path, typer.Argument(help="Folder with the generated pictures.")],
    reference: Annotated[
        Path, typer.Option("--reference", help="Real photos of the person that no training has seen.")
    ],
    gallery: Annotated[
        Path | None,
        typer.Option(help="Photos of strangers, one folder a person.", show_default="people of the kit"),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Run folder of the model that drew the pictures, to warn if a judge took part in it.",
        ),
    ] = None,
    training_photos: Annotated[
        Path | None,
        typer.Option(help="What the model was trained on, to warn if the reference holds any of it."),
    ] = None,
    kit: KitOption = "world",
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report as one HTML file.")
    ] = None,
    pictures_inside: Annotated[
        bool,
        typer.Option("--pictures/--no-pictures", help="Show the photos and pictures in the report."),
    ] = True,
    fpir: Annotated[
        float, typer.Option(min=1e-6, max=0.5, help="How often a search may name somebody wrongly.")
    ] = 0.01,
    fmr: Annotated[
        list[float] | None,
        typer.Option(
            min=1e-6,
            max=0.5,
            help="False-match rate of pairs; repeatable.",
            show_default=".01, .001, .0001",
        ),
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure whether face recognition links pictures to a person.

    The judges are recognisers that took no part in any training, and the people in the gallery are strangers.

    \b
    visard audit pictures/ --reference other_photos/ --report report.html
    visard audit pictures/ --reference other_photos/ --gallery strangers/ --fpir 0.05 --kit real.toml --json
    """
    from visard import api  # not at the top: it takes seconds, and --help should not
    from visard.audit import AuditSettings

    if kit == "world":
        note("The embedded world's judges know procedural people: photos of real ones take --kit.")
    settings = AuditSettings(fpir=fpir)
    seen: list[AuditResult] = []
    try:
        with progress() as show:
            api.audit(
                pictures,
                reference,
                gallery=gallery,
                run=run,
                training_photos=training_photos,
                kit=kit,
                settings=replace(settings, false_match_rates=tuple(fmr)) if fmr else settings,
                report=report,
                show=pictures_inside,
                device=device,
                progress=show,
                tell=seen.append,
            )
    finally:  # also where the report could not be written
        for found in seen:
            lines = [*found.claims, *map(_caution, found.cautions)]
            lines += [f"Not checked: {check}. Give {missing}." for check, missing in found.unchecked.items()]
            result(json.loads(found.to_json()), as_json, "\n".join(lines))
    if report and not as_json:
        result({}, False, f"The report is in {report}")


def _caution(flags: list[Flag]) -> str:
    """What one rule distrusts, a line each, and what to do about it."""
    seen = [f"  {flag.where}: {flag.message}" if flag.where else f"  {flag.message}" for flag in flags]
    return "\n".join([f"Caution: {flags[0].title}.", *seen, f"  {flags[0].advice}"])

"""`visard protect`: photos in, photos out that a fine-tuned model learns little from."""

from __future__ import annotations

from collections.abc import Container, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from visard.cli.console import note, progress, result
from visard.cli.options import AsJson, BaseModel, Device, KitOption, Seed
from visard.errors import InputError
from visard.storage import finite


class Method(str, Enum):
    """The names in visard.protection.methods.METHODS, which takes seconds to import."""

    random = "random"
    fsmg = "fsmg"
    aspl = "aspl"
    targeted_aspl = "targeted-aspl"
    simac = "simac"
    anti_diffusion = "anti-diffusion"
    advdm = "advdm"
    mist = "mist"
    photoguard = "photoguard"
    caat = "caat"


class Fidelity(str, Enum):
    """Which of a method's two versions."""

    paper = "paper"
    released = "released"


def protect(
    photos: Annotated[Path, typer.Argument(help="Folder with the photos, of one person.")],
    out: Annotated[Path, typer.Argument(help="New folder the protected photos are written to, as PNG.")],
    method: Annotated[Method, typer.Option(help="How; random is noise without any aim, to compare with.")],
    radius: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Largest change of a value, in [-1, 1]: 0.05 is 6 of 255 levels.",
            show_default="the method's",
        ),
    ] = None,
    step: Annotated[
        float | None,
        typer.Option(min=0, help="Length of one step, in the same units.", show_default="the method's"),
    ] = None,
    fidelity: Annotated[
        Fidelity, typer.Option(help="As in the paper, or as its public code behaves, faults included.")
    ] = Fidelity.paper,
    clean: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Other photos of the person, for fsmg, aspl, targeted-aspl and simac to learn from.",
            show_default="the photos themselves",
        ),
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Picture that targeted-aspl and mist steer to.", show_default="chequers"
        ),
    ] = None,
    kit: KitOption = "world",
    base: BaseModel = None,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Continue where it was stopped, or begin anew.")
    ] = True,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A setting, e.g. surrogate.precision=fp32; repeatable."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Perturb photos before they are published, so that a model fine-tuned on them fails.

    These are published methods to compare with; personalize --privacy is this project's own. Photos are
    cropped to the middle square and resized to the base model's side. The files are rounded to 8 bits inside
    the radius and hold no metadata; saving them as JPEG undoes part of the effect.

    \b
    visard protect photos/ protected/ --method aspl
    visard protect photos/ protected/ --method simac --radius 0.08 --base sd21 --device cuda
    visard protect photos/ noise/ --method random --radius 0.08
    """
    from visard import api  # not at the top: it takes seconds, and --help should not

    options: dict[str, Any] = {"method": method.value, "fidelity": fidelity.value, "seed": seed}
    options |= {"radius": radius, "step": step}
    given = {name: value for name, value in options.items() if value is not None}
    changes = {**_settings(overrides or [], options), **given}
    with progress() as report:
        protected = api.protect(
            photos,
            out,
            clean=clean,
            target=target,
            kit=kit,
            base=base,
            device=device,
            resume=resume,
            progress=report,
            **changes,
        )
    record = protected.record
    if kit == "world" and base is None and method is not Method.random:
        note(
            "The photos were perturbed against the embedded world's small model, which means nothing for "
            "models that people use: name one of those with --base."
        )
    if record.largest_change == 0:
        note("Nothing was changed: the method took no step, or none that leaves a photo's 8-bit level.")
    if fidelity is Fidelity.released and not record.differs:
        note(f"No difference between the paper and the public code of {method.value} is known.")
    values = {
        "folder": str(protected.folder),
        "pictures": [str(file) for file in protected.pictures],
        "method": record.settings.method,
        "paper": record.paper,
        "fidelity": record.settings.fidelity,
        "differs": list(record.differs),
        "radius": record.radius,
        "step": record.step,
        "largest_change": record.largest_change,
        "psnr": record.psnr,
    }
    count = len(protected.pictures)
    change = f"{record.psnr:.1f} dB" if record.largest_change else "unchanged"
    result(finite(values), as_json, f"{count} protected photos ({change}) are in {protected.folder}")


def _settings(overrides: Sequence[str], options: Container[str]) -> dict[str, Any]:
    """What --set says, as a nested table. Raises InputError where it is no setting, or an option's."""
    from visard.benchmark.protocol import parse_overrides
    from visard.protection.settings import ProtectionSettings

    table = parse_overrides(overrides)
    for name in table:
        if name in options:
            raise InputError(f"--set {name} is an option of its own.", f"Give --{name} instead.")
    ProtectionSettings().with_preset(table)
    return table

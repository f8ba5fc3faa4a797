"""`visard personalize`: photos in, a model out."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from visard.cli.console import note, progress, result
from visard.cli.options import AsJson, BaseModel, Device, KitOption
from visard.errors import InputError


class Privacy(str, Enum):
    """The privacy dial."""

    low = "low"
    medium = "medium"
    high = "high"


class Method(str, Enum):
    """What is trained."""

    dreambooth = "dreambooth"
    lora = "lora"


def personalize(
    photos: Annotated[Path, typer.Argument(help="Folder with photos of one person; 8 or more work best.")],
    out: Annotated[
        Path, typer.Argument(help="Run folder: the model, run.toml and previews are written here.")
    ],
    kit: KitOption = "world",
    base: BaseModel = None,
    privacy: Annotated[
        Privacy | None, typer.Option(help="How far to go against face recognition.", show_default="high")
    ] = None,
    rho: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="The same dial as a number: 0 most private, 1 most alike."),
    ] = None,
    no_defence: Annotated[
        bool, typer.Option("--no-defence", help="Plain personalisation, to compare with.")
    ] = False,
    method: Annotated[
        Method | None,
        typer.Option(help="Train the whole model or a small LoRA file.", show_default="dreambooth"),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings as TOML; the run.toml of a run repeats it.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help='The person\'s words in prompts, e.g. "a photo of sks person".')
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps, all rounds together.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds of training and decoupling.")] = None,
    previews: Annotated[int | None, typer.Option(min=0, help="Sample pictures after every round.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Same seed, same result.", show_default="0")] = None,
    device: Device = "auto",
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Continue a stopped run, or begin it anew.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Teach a model one person, so that people see them and face recognition does not.

    A stopped run continues where it was when the same command is given again.

    \b
    visard personalize photos/ runs/me
    visard personalize photos/ runs/me --privacy medium --method lora
    visard personalize photos/ runs/me --kit real.toml --base sd15 --previews 4
    visard personalize photos/ runs/again --config runs/me/run.toml
    """
    if sum((privacy is not None, rho is not None, no_defence)) > 1:
        raise InputError("--privacy, --rho and --no-defence exclude each other.", "Give one of them.")
    from visard import api  # not at the top: it takes seconds, and --help should not

    with progress() as report:
        run = api.personalize(
            photos,
            out,
            kit=kit,
            base=base,
            privacy=privacy.value if privacy else None,
            config=config,
            device=device,
            resume=resume,
            progress=report,
            **_given(
                {
                    "defence": "none" if no_defence else None,
                    "method": method.value if method else None,
                    "seed": seed,
                    "prompts": {"instance": prompt},
                    "fine_tuning": {"steps": steps},
                    "decoupling": {"rho": rho, "rounds": rounds},
                    "previews": {"count": previews},
                }
            ),
        )
    values = {"folder": str(run.folder), "model": str(run.model), "rounds": run.history}
    result(values, as_json, f"The model is in {run.model}")
    if not as_json:
        note(f'Next: visard generate {out} pictures/ --prompt "a photo of sks person"')


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, without those that were not."""
    inner = {key: _given(value) if isinstance(value, Mapping) else value for key, value in options.items()}
    return {key: value for key, value in inner.items() if value is not None and value != {}}

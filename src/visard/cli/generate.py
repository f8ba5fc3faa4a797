"""`visard generate`: pictures from a prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visard.cli.console import progress, result
from visard.cli.options import AsJson, BaseModel, Device, KitOption, Seed


def generate(
    model: Annotated[Path, typer.Argument(help="A run folder, a diffusers folder or a LoRA file.")],
    out: Annotated[Path, typer.Argument(help="Folder the pictures are written to.")],
    prompt: Annotated[
        str | None, typer.Option(help="What to show.", show_default="the words the model was taught with")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many pictures.")] = 4,
    seed: Seed = 0,
    steps: Annotated[int, typer.Option(min=1, help="Sampling steps.")] = 25,
    guidance: Annotated[
        float | None,
        typer.Option(min=0, help="How closely to follow the prompt.", show_default="what suits the model"),
    ] = None,
    negative_prompt: Annotated[str, typer.Option(help="What not to show.")] = "",
    base: BaseModel = None,
    kit: KitOption = "world",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Sample pictures from a personalised model.

    When the command is stopped and given again, the pictures that are there are kept.

    \b
    visard generate runs/me pictures/ --count 16
    visard generate runs/me pictures/ --prompt "a dslr portrait of sks person wearing a hat"
    visard generate me.safetensors pictures/ --base sd15 --prompt "a photo of sks person"
    """
    from visard import api  # not at the top: it takes seconds, and --help should not

    with progress() as report:
        files = api.generate(
            model,
            out,
            prompt,
            count,
            seed=seed,
            steps=steps,
            guidance=guidance,
            negative_prompt=negative_prompt,
            base=base,
            kit=kit,
            device=device,
            progress=report,
        )
    values = {"folder": str(out), "pictures": [str(file) for file in files]}
    result(values, as_json, f"{len(files)} pictures are in {out}")

"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
KitOption = Annotated[
    str,
    typer.Option("--kit", metavar="world|FILE", help="The models to use: the embedded world, or a kit file."),
]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same result.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, mps; auto is cuda where there is one.")]
SameData = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        help="Benchmark made with --data: the same folder again, for the attacker's people.",
        show_default=False,
    ),
]
SameIdentities = Annotated[
    Path | None,
    typer.Option(
        "--identities",
        metavar="FILE",
        help="Benchmark made with --identities: the same file again.",
        show_default=False,
    ),
]
Memory = Annotated[
    str,
    typer.Option(
        metavar="PLAN",
        help="Fit a GPU of this size: 32g, 24g, 16g, 10g; auto chooses by GPU and model, none is no plan.",
    ),
]
BaseModel = Annotated[
    str | None,
    typer.Option(
        "--base",
        metavar="MODEL",
        help="Base model: a diffusers folder, .safetensors file, hub id, or sd14, sd15, sd21, sd21-v, sdxl.",
    ),
]

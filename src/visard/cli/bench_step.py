"""`visard bench step` and `visard bench blueprint`: what a run costs, on models of any size."""

from __future__ import annotations

from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visard.cli.console import progress, result
from visard.cli.options import AsJson, BaseModel, Device, KitOption, Memory, Seed
from visard.cli.personalize import Method
from visard.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from visard.benchmark.stages import Comparison, RunCost

GIGABYTE = 1e9


class Precision(str, Enum):
    """In what the networks compute, and a blueprint is written."""

    fp32 = "fp32"
    bf16 = "bf16"


def step(
    photos: Annotated[Path, typer.Option(help="Folder with photos of one person, four or more.")],
    kit: KitOption = "world",
    base: BaseModel = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, each with one step of every kind.")] = 2,
    method: Annotated[Method, typer.Option(help="What is trained.")] = Method.lora,
    precision: Annotated[Precision, typer.Option(help="In what the networks compute.")] = Precision.bf16,
    sampler_steps: Annotated[int, typer.Option(min=1, help="Sampling steps of the one class picture.")] = 2,
    batch: Annotated[int, typer.Option(min=1, help="Photos, and class pictures, of a step.")] = 1,
    memory: Memory = "32g",
    plain: Annotated[
        bool,
        typer.Option("--plain/--no-plain", help="Do the same as written plainly on diffusers, to compare."),
    ] = True,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Run one step of every kind a round: time and peak memory of every stage, before a long run is begun.

    The plain version trains float32 weights and recomputes activations where the plan does, and has nothing
    else: no cached posteriors, no halved frozen weights, no 8-bit moments, nothing moved or compiled.

    \b
    visard bench step --photos photos/ --kit real.toml --base sd21 --memory 16g
    visard bench blueprint sd21 random-sd21/ && visard bench step --photos photos/ --base random-sd21/
    """
    from visard.benchmark import stages
    from visard.kits import open_kit
    from visard.models import choose_device

    models = open_kit(kit, choose_device(device))
    settings = stages.few_steps(
        models,
        rounds=rounds,
        method=method.value,
        precision=precision.value,
        sampler_steps=sampler_steps,
        batch=batch,
    )
    with progress() as report:
        cost = stages.measure(settings, photos, models, base, memory=memory, compare=plain, progress=report)
    if as_json:
        ratios = {name: {"seconds": time, "memory": peak} for name, (time, peak) in cost.ratios().items()}
        result({**asdict(cost), "plain over ours": ratios}, True, "")
    else:
        from rich.console import Console

        Console().print(_table(cost))


def blueprint(
    name: Annotated[str, typer.Argument(help="The shape: tiny, tiny-sdxl, micro, sd15, sd21 or sdxl.")],
    folder: Annotated[Path, typer.Argument(help="Folder the model is written to.")],
    precision: Annotated[Precision, typer.Option(help="Of the weights on disk.")] = Precision.bf16,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Write a model with random weights in the shape of a published one, to measure without a download.

    visard bench blueprint sd21 random-sd21/
    """
    import torch

    from visard.diffusion.blueprints import BLUEPRINTS, write_blueprint

    if name not in BLUEPRINTS:
        raise InputError(f"There is no shape {name!r}.", f"Choose one of {', '.join(BLUEPRINTS)}.")
    dtype = torch.bfloat16 if precision is Precision.bf16 else torch.float32
    write_blueprint(name, folder, seed=seed, dtype=dtype)
    result({"model": str(folder)}, as_json, f"The model is in {folder}")


def _table(cost: Comparison) -> Table:
    from rich.table import Table

    ours, plain = cost.ours, cost.plain
    networks = ", ".join(f"{name} {count / 1e6:.1f} M" for name, count in cost.parameters.items())
    table = Table(
        title=f"{networks} parameters; {cost.photos} photos of {cost.resolution} px, batch {cost.batch}; "
        f"{cost.method}, {cost.precision}, memory plan {cost.memory}; "
        f"{cost.device_name}, {cost.threads} threads",
        caption=f"{ours.seconds:.0f} s, at most {ours.resident / GIGABYTE:.2f} GB resident"
        + (f"; plainly: {_outcome(plain)}" if plain is not None else ""),
    )
    where = "GB on the GPU" if ours.device else "GB"
    table.add_column("stage")
    for name in ("count", "seconds each", f"peak {where}"):
        table.add_column(name, justify="right")
    if plain is not None:
        for name in ("plain: seconds", f"peak {where}", "plain / ours: time", "memory"):
            table.add_column(name, justify="right")
    theirs = {stage.stage: stage for stage in plain.stages} if plain is not None else {}
    ratios = cost.ratios()
    for stage in ours.stages:
        row = [stage.stage, str(stage.count), f"{stage.seconds:.2f}", f"{stage.memory / GIGABYTE:.2f}"]
        if stage.stage in theirs:
            other, (time, memory) = theirs[stage.stage], ratios[stage.stage]
            row += [
                f"{other.seconds:.2f}",
                f"{other.memory / GIGABYTE:.2f}",
                f"{time:.2f}",
                f"{memory:.2f}",
            ]
        elif plain is not None:
            row += ["–"] * 4
        table.add_row(*row)
    return table


def _outcome(plain: RunCost) -> str:
    return plain.failed or f"{plain.seconds:.0f} s, at most {plain.resident / GIGABYTE:.2f} GB"

"""`visard personalize`: photos in, a model out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from visard.cli.console import Lines, note, progress, result
from visard.cli.options import AsJson, BaseModel, Device, KitOption, Memory
from visard.errors import InputError, TrainingError


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
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PHOTOS... OUT",
            help="A folder with photos of one person, 8 or more work best; then the run folder, where model, "
            "run.toml and previews are written. Of several people, each gets a run folder inside it.",
        ),
    ],
    people: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Everybody who has a folder of photos in this one."),
    ] = None,
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
        bool,
        typer.Option("--no-defence", help="DreamBooth in the same turns, to compare with."),
    ] = False,
    method: Annotated[
        Method | None,
        typer.Option(help="Train the whole model or a small LoRA file.", show_default="dreambooth"),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Settings as TOML: a run's run.toml repeats it, with its --kit and --base.",
        ),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help='The person\'s words in prompts, e.g. "a photo of sks person".')
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps, all rounds together.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds of training and decoupling.")] = None,
    previews: Annotated[int | None, typer.Option(min=0, help="Sample pictures after every round.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Same seed, same result.", show_default="0")] = None,
    person: Annotated[
        int | None,
        typer.Option(min=1, help="Whose face, by its number on the sheet of `visard photos check`."),
    ] = None,
    device: Device = "auto",
    gpus: Annotated[
        str | None,
        typer.Option(metavar="0,1,...", help="Several people: one at a time on each of these GPUs."),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Several people: as many at a time on the one device.")
    ] = 1,
    memory: Memory = "none",
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Continue a stopped run, or begin it anew.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Teach a model one person, whom people see in its pictures and face recognition finds less often.

    A stopped run continues where it was when the same command is given again.

    \b
    visard personalize photos/ runs/me
    visard personalize photos/ runs/me --privacy medium --method lora
    visard personalize photos/ runs/me --kit real.toml --base sd15 --previews 4
    visard personalize photos/ runs/again --config runs/me/run.toml
    visard personalize photos/ runs/me --kit real.toml --base sd21 --memory 16g
    visard personalize --people everybody/ runs/ --gpus 0,1,2
    """
    if sum((privacy is not None, rho is not None, no_defence)) > 1:
        raise InputError("--privacy, --rho and --no-defence exclude each other.", "Give one of them.")
    *folders, out = paths
    if not folders and people is None:
        raise InputError("There is only one folder.", "Give the folder of photos, then the run folder.")
    options: dict[str, Any] = {
        "base": base,
        "privacy": privacy.value if privacy else None,
        "config": config,
        "memory": memory,
        "resume": resume,
        "person": person,
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
    }
    if people is None and len(folders) == 1:
        if gpus is not None or workers > 1:
            raise InputError(
                "One person takes one device.", "Leave out --gpus and --workers; --device chooses the device."
            )
        _one(folders[0], out, kit, device, options, as_json)
    else:
        if person is not None:
            raise InputError(
                "--person is a number on one folder's sheet, and there are several folders.",
                "Run `visard photos prepare --person N` on the folders that need it, then give the results.",
            )
        _several(folders, people, out, kit, _devices(device, gpus, workers), options, as_json)


def _one(photos: Path, out: Path, kit: str, device: str, options: Mapping[str, Any], as_json: bool) -> None:
    from visard import api  # not at the top: it takes seconds, and --help should not

    with progress() as report:
        run = api.personalize(photos, out, kit=kit, device=device, progress=report, tell=note, **options)
    values = {"folder": str(run.folder), "model": str(run.model), "rounds": run.history}
    result(values, as_json, f"The model is in {run.model}")
    if not as_json:
        note(f"Next: visard generate {out} pictures/")  # of the words it was taught with


def _several(
    folders: Sequence[Path],
    people: Path | None,
    out: Path,
    kit: str,
    devices: Sequence[str],
    options: Mapping[str, Any],
    as_json: bool,
) -> None:
    """Everybody's run, in folders of `out`; raises TrainingError in the end when some failed."""
    from visard.people import Order, folders_in, personalize_people, sitters

    everybody = sitters([*folders, *(folders_in(people) if people is not None else [])], out)
    order = Order(kit, {**options, "tell": note}, Lines)
    failed = personalize_people(everybody, devices, order, Lines())
    done = {each.name: str(each.out) for each in everybody if each not in failed}
    values = {"done": done, "failed": {each.name: reason for each, reason in failed.items()}}
    result(values, as_json, f"{len(done)} of {len(everybody)} models are in {out}")
    if failed:
        raise TrainingError(
            "\n".join([f"{len(failed)} failed:", *(f"{each.name}: {why}" for each, why in failed.items())]),
            f"The same command {'' if options['resume'] else 'without --no-resume '}tries them again.",
        )


def _devices(device: str, gpus: str | None, workers: int) -> list[str]:
    """A device for each process."""
    if gpus is None:
        return [device] * workers
    numbers = [each.strip() for each in gpus.split(",")]
    if workers > 1 or device != "auto":
        raise InputError("--gpus, --device and --workers exclude each other.", "Give one of them.")
    if not all(each.isdecimal() for each in numbers) or len({*numbers}) < len(numbers):
        raise InputError(f"--gpus {gpus} is no list of GPUs.", "Give their numbers: --gpus 0,1,2")
    return [f"cuda:{each}" for each in numbers]


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, without those that were not."""
    inner = {key: _given(value) if isinstance(value, Mapping) else value for key, value in options.items()}
    return {key: value for key, value in inner.items() if value is not None and value != {}}

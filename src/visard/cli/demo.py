"""`visard demo`: the whole method on a person who does not exist."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visard.cli.console import note, progress, result
from visard.cli.options import AsJson
from visard.progress import Progress
from visard.storage import storage_errors

if TYPE_CHECKING:
    from visard.audit import AuditResult

PERSON = 0
"""Which of the world's test people, whom no model has seen."""
TRAINING_PHOTOS = 8
OTHER_PHOTOS = 8
PROMPTS = ("a photo of sks person", "a dslr portrait of sks person")
PICTURES = 16
SAMPLER_STEPS = 20
SEED = 0
ARMS: dict[str, dict[str, Any]] = {"none": {"defence": "none"}, "iddm": {"privacy": "high"}}
"""The undefended arm first, and what the other is compared with."""
SETTINGS: dict[str, Any] = {"seed": SEED, "prior": {"count": 32, "sampler_steps": 15}}
"""What makes the demo quick; everything else is as the kit has it."""


def demo(
    out: Annotated[Path, typer.Argument(help="Folder for photos, models, pictures and the report.")] = Path(
        "demo"
    ),
    as_json: AsJson = False,
) -> None:
    """Personalise a person who does not exist, with and without the defence, and compare what is given away.

    Needs no photos, no network and no GPU; about five minutes on a laptop. Given again, it goes on.

    \b
    visard demo
    """
    with progress() as report:
        found = run(out, report)
    page = out / "report.html"
    values = {"report": str(page), "claims": found.claims, "arms": _table(found)}
    lines = [_row(row) for row in _table(found)]
    result(values, as_json, "\n".join([*lines, "", *found.claims, "", f"The report is in {page}"]))
    if not as_json:
        note("Next: the same with your photos, visard personalize --help")


def run(out: Path, progress: Progress) -> AuditResult:
    """Photos, two models, their pictures and the audit, under `out`; what is done is not done again."""
    from visard import api

    kit = api.open_kit("world")
    _photograph(out, progress)
    for arm, options in ARMS.items():
        api.personalize(
            out / "photos",
            out / "runs" / arm,
            kit=kit,
            progress=_about(f"training, {arm}", progress),
            **{**SETTINGS, **options},
        )
        model = api.load_model(out / "runs" / arm, kit)
        for seed, prompt in enumerate(PROMPTS, SEED):  # from one noise two prompts make nearly one picture
            api.generate(
                model,
                out / "pictures" / arm / prompt,
                prompt,
                PICTURES,
                seed=seed,
                steps=SAMPLER_STEPS,
                progress=_about(f"pictures, {arm}", progress),
            )
    return api.audit(
        out / "pictures",
        out / "other_photos",
        run=out / "runs" / "iddm",
        training_photos=out / "photos",
        kit=kit,
        report=out / "report.html",
        progress=_about("audit", progress),
    )


def _photograph(out: Path, progress: Progress) -> None:
    """Photos to train on, and others that stand for those the person has elsewhere."""
    from visard.images import save_image
    from visard.world.people import person, split_people
    from visard.world.sampling import pictures

    who = person(split_people("test", PERSON + 1)[PERSON])
    first = 0
    for name, count in (("photos", TRAINING_PHOTOS), ("other_photos", OTHER_PHOTOS)):
        folder = out / name
        files = [folder / f"{index:02d}.png" for index in range(count)]
        if not all(file.exists() for file in files):
            with storage_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
            for index, (file, image) in enumerate(zip(files, pictures(who, count, first=first), strict=True)):
                save_image(image, file)
                progress(name.replace("_", " "), index + 1, count)
        first += count


def _table(found: AuditResult) -> list[dict[str, Any]]:
    return [
        {
            "arm": arm.arm,
            "prompt": arm.prompt,
            "linked": arm.strongest.linked.value,
            "judge": arm.strongest.judge,
            "similarity": arm.strongest.similarity.overall,
            "faces": arm.faces.faces,
            "pictures": arm.pictures,
        }
        for arm in found.arms
    ]


def _row(row: dict[str, Any]) -> str:
    return (
        f"{row['arm']:>5}: {row['linked']:4.0%} linked to the person by {row['judge']}, "
        f"similarity {row['similarity']:.2f}, a face in {row['faces']} of {row['pictures']} ({row['prompt']})"
    )


def _about(what: str, progress: Progress) -> Progress:
    """The same progress, its stages told apart by what they are about."""

    def report(stage: str, done: int, total: int, **figures: float) -> None:
        progress(f"{what}: {stage}", done, total, **figures)

    return report

"""One person at a glance: their photos, and what each arm makes of them, each with its similarity below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from visard.benchmark.people import CLEAN
from visard.benchmark.protocol import NONE, is_rho
from visard.benchmark.result import Result
from visard.benchmark.scoring import is_of
from visard.benchmark.table import ISM
from visard.benchmark.unit import picture_file, require_pictures
from visard.errors import InputError
from visard.images import center_crop, read_folder, read_image

SIDE = 192
GAP = 8
LABELS = 168
BELOW = 30
MARGIN = 20
BACKGROUND, TITLE, FAINT = "#ffffff", "#1a1a1a", "#6b6b6b"


@dataclass(frozen=True)
class Line:
    """One row: its label, a second line of it, and pictures with their similarities (None: no face)."""

    title: str
    subtitle: str
    pictures: Sequence[Image.Image]
    similarities: Sequence[float | None]


def person_figure(
    results: Sequence[Result], out: Path, person: int, arms: Sequence[str], prompt: str, columns: int = 6
) -> Image.Image:
    """The person's clean photos, then a row for each arm. Raises InputError when a unit is not finished."""
    units = {result.unit.arm: result for result in results if result.unit.person == person}
    missing = [arm for arm in arms if arm not in units]
    if missing:
        raise InputError(
            f"Person {person} is not finished under {', '.join(missing)}.",
            "Finish the benchmark, or choose other arms.",
        )
    if prompt not in units[arms[0]].scores["prompts"]:
        known = " or ".join(f'"{each}"' for each in units[arms[0]].scores["prompts"])
        raise InputError(f"No pictures of {prompt!r} were made.", f"Choose {known}.")
    for arm in arms:
        require_pictures(units[arm].unit.folder(out))
    judge = _judge(units[arms[0]])
    photos = [photo.image for photo in read_folder(out / "people" / str(person) / CLEAN)]
    lines = [
        Line("Photos", "of the person", photos, units[arms[0]].scores["judges"][judge]["real_photos"]),
        *(
            Line(*_label(arm), _pictures(units[arm], out, prompt, columns), _similarities(units[arm], prompt))
            for arm in arms
        ),
    ]
    return draw(lines, columns)


def draw(lines: Sequence[Line], columns: int) -> Image.Image:
    """Rows of pictures with labels at the left and similarities below."""
    columns = min(columns, max(len(line.pictures) for line in lines))
    width = 2 * MARGIN + LABELS + columns * (SIDE + GAP) - GAP
    height = 2 * MARGIN + len(lines) * (SIDE + BELOW + GAP) - GAP
    sheet = Image.new("RGB", (width, height), BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(20), ImageFont.load_default(15)
    for row, line in enumerate(lines):
        y = MARGIN + row * (SIDE + BELOW + GAP)
        pen.text((MARGIN, y + SIDE / 2 - 14), line.title, TITLE, large, anchor="lm")
        pen.text((MARGIN, y + SIDE / 2 + 12), line.subtitle, FAINT, small, anchor="lm")
        shown = list(zip(line.pictures, line.similarities, strict=False))[:columns]
        for column, (picture, similarity) in enumerate(shown):
            x = MARGIN + LABELS + column * (SIDE + GAP)
            sheet.paste(center_crop(picture, SIDE), (x, y))
            words = "no face" if similarity is None else f"{similarity:.2f}"
            pen.text((x + SIDE / 2, y + SIDE + BELOW / 2 - 1), words, FAINT, small, anchor="mm")
    return sheet


def _label(arm: str) -> tuple[str, str]:
    if arm == NONE:
        return "No defence", "personalised"
    return ("Defended", f"rho = {arm}") if is_rho(arm) else (arm, "")


def _judge(result: Result) -> str:
    """The kit's ArcFace, else its first judge."""
    judges = list(result.scores["judges"])
    return next((name for name in judges if is_of(ISM.of[0], name)), str(judges[0]))


def _pictures(result: Result, out: Path, prompt: str, columns: int) -> list[Image.Image]:
    count = result.scores["prompts"][prompt]["pictures"]
    folder = result.unit.folder(out)
    return [read_image(picture_file(folder, prompt, index)) for index in range(min(count, columns))]


def _similarities(result: Result, prompt: str) -> list[float | None]:
    values: list[float | None] = result.scores["judges"][_judge(result)]["prompts"][prompt]["similarities"]
    return values

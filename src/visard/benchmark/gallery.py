"""The paper's Figure 4: a person's photo, then every arm's picture of each prompt, person after person."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from visard.benchmark.figure import BACKGROUND, FAINT, GAP, LABELS, MARGIN, TITLE
from visard.benchmark.people import CLEAN
from visard.benchmark.result import Result
from visard.benchmark.table import Table
from visard.benchmark.unit import has_pictures, picture_file
from visard.images import center_crop, read_folder, read_image

SIDE = 128
HEAD = 40
PEOPLE = 3


def draw(table: Table, results: Sequence[Result], out: Path, people: int = PEOPLE) -> Image.Image | None:
    """The first `people` with any picture, all of the table's prompts; None when nobody has one."""
    units = {(result.unit.person, result.unit.arm): result for result in results}
    drawn = [person for (person, _), result in units.items() if has_pictures(result.unit.folder(out))]
    shown = sorted(set(drawn))[:people]
    if not shown:
        return None
    titles = ["Photo", *(row.title for row in table.rows)]
    lines = [(person, prompt) for person in shown for prompt in table.prompts]
    width = 2 * MARGIN + LABELS + len(titles) * (SIDE + GAP) - GAP
    sheet = Image.new("RGB", (width, 2 * MARGIN + HEAD + len(lines) * (SIDE + GAP) - GAP), BACKGROUND)
    pen, large, small = ImageDraw.Draw(sheet), ImageFont.load_default(14), ImageFont.load_default(11)
    for column, title in enumerate(titles):
        x = MARGIN + LABELS + column * (SIDE + GAP)
        pen.text((x + SIDE / 2, MARGIN + HEAD / 2), _fitted(title), TITLE, small, anchor="mm", align="center")
    for index, (person, prompt) in enumerate(lines):
        y = MARGIN + HEAD + index * (SIDE + GAP)
        pen.text((MARGIN, y + SIDE / 2 - 10), f"Person {shown.index(person) + 1}", TITLE, large, anchor="lm")
        pen.text((MARGIN, y + SIDE / 2 + 12), _fitted(prompt, 26), FAINT, small, anchor="lm")
        pictures: list[Image.Image | None] = [read_folder(out / "people" / str(person) / CLEAN)[0].image]
        pictures += [_picture(units.get((person, row.arm)), out, prompt) for row in table.rows]
        for column, picture in enumerate(pictures):
            if picture is not None:
                sheet.paste(center_crop(picture, SIDE), (MARGIN + LABELS + column * (SIDE + GAP), y))
    return sheet


def _picture(result: Result | None, out: Path, prompt: str) -> Image.Image | None:
    """The unit's first one: it is not chosen."""
    if result is None or prompt not in result.scores["prompts"] or not has_pictures(result.unit.folder(out)):
        return None
    return read_image(picture_file(result.unit.folder(out), prompt, 0))


def _fitted(text: str, width: int = 18) -> str:
    """In lines of at most `width` characters where words allow."""
    made: list[str] = [""]
    for word in text.split():
        if made[-1] and len(made[-1]) + len(word) >= width:
            made.append("")
        made[-1] = f"{made[-1]} {word}".strip()
    return "\n".join(made)

"""The contact sheet as one picture: every photo with its faces and its square, the cut beside it, and why."""

from __future__ import annotations

import textwrap

from PIL import Image, ImageDraw, ImageFont, ImageOps

from visard.images import to_image
from visard.photos.selection import Box, Selection, Shot

COLUMNS = 3
SIDE = 240
"""Pixels of a photo's field and of the cut beside it."""
GAP, EDGE, LINE = 28, 48, 22
LINES = 4
"""Lines of text below a photo."""
LETTERS = 62
"""Letters that fit on such a line."""
PAPER, PANEL, INK, SOFT = "#fbfaf7", "#efece5", "#1d1c1a", "#5a5751"
COLOURS = {
    "used": "#0f6a73",
    "used with a warning": "#8a4b00",
    "left out": "#a3341c",
    "unreadable": "#a3341c",
}
OWN = "#35c6d2"


def draw_sheet(selection: Selection, *, names: bool = False) -> Image.Image:
    """A selection as a picture; file names stand on it only with `names`."""
    width = 2 * EDGE + COLUMNS * (2 * SIDE + 4) + (COLUMNS - 1) * GAP
    cell = SIDE + (LINES + 1) * LINE + GAP
    top = EDGE + 110 + 34 * (len(_wrapped(selection.choice, 130)) - 1)
    rows = -(-len(selection.shots) // COLUMNS)
    sheet = Image.new("RGB", (width, top + rows * cell + EDGE), PAPER)
    draw = ImageDraw.Draw(sheet)
    title = f"{len(selection.used)} of {len(selection.shots)} photos will be used."
    draw.text((EDGE, EDGE), title if selection.chosen else "Nobody is chosen yet.", INK, _font(36))
    draw.text((EDGE, EDGE + 52), "\n".join(_wrapped(selection.choice, 130)), SOFT, _font(20))
    for index, shot in enumerate(selection.shots):
        x = EDGE + index % COLUMNS * (2 * SIDE + 4 + GAP)
        y = top + index // COLUMNS * cell
        _draw_shot(sheet, shot, selection.chosen, x, y)
        _draw_words(draw, shot, names, x, y + SIDE + 10)
    return sheet


def _draw_shot(sheet: Image.Image, shot: Shot, chosen: int | None, x: int, y: int) -> None:
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((x, y, x + 2 * SIDE + 3, y + SIDE - 1), PANEL)
    if shot.preview is not None:
        photo = ImageOps.contain(shot.preview, (SIDE, SIDE), Image.Resampling.LANCZOS)
        sheet.paste(
            _marked(photo, shot, chosen), (x + (SIDE - photo.width) // 2, y + (SIDE - photo.height) // 2)
        )
    if shot.picture is not None:
        cut = to_image(shot.picture).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        sheet.paste(cut if shot.used else ImageOps.grayscale(cut).convert("RGB"), (x + SIDE + 4, y))


def _marked(photo: Image.Image, shot: Shot, chosen: int | None) -> Image.Image:
    """The photo darkened outside the square, with a frame and a number on each face."""
    marked = photo
    if shot.square is not None:
        marked = Image.blend(photo, Image.new("RGB", photo.size, "black"), 0.5)
        left, top, right, bottom = _pixels(shot.square, photo.size)
        marked.paste(photo.crop((left, top, right, bottom)), (left, top))
        ImageDraw.Draw(marked).rectangle((left, top, right - 1, bottom - 1), outline="white")
    draw = ImageDraw.Draw(marked)
    for seen in shot.sightings:
        colour = OWN if seen.person and seen.person == chosen else "white"
        left, top, right, bottom = _pixels(seen.box, photo.size)
        draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=2)
        if seen.person:
            draw.rectangle((left, bottom - 16, left + 16, bottom), colour)
            draw.text((left + 8, bottom - 8), str(seen.person), "black", _font(13), anchor="mm")
    return marked


def _draw_words(draw: ImageDraw.ImageDraw, shot: Shot, names: bool, x: int, y: int) -> None:
    colour = COLOURS[shot.verdict]
    draw.rectangle((x, y, x + 3, y + LINE - 4), colour)
    title = f"Photo {shot.number}" + (f" · {shot.file.name}" if names else "") + f", {shot.verdict}"
    draw.text((x + 12, y), textwrap.shorten(title, LETTERS), INK, _font(16))
    lines = [line for reason in shot.said for line in _wrapped(reason, LETTERS)]
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], f"{lines[LINES - 1]} …"]
    draw.text((x + 12, y + LINE), "\n".join(lines), colour, _font(15), spacing=5)


def _pixels(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    left, top, right, bottom = (round(share * size[index % 2]) for index, share in enumerate(box))
    return left, top, right, bottom


def _wrapped(text: str, letters: int) -> list[str]:
    return textwrap.wrap(text, letters)


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)

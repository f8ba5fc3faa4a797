"""The contact sheet as one HTML page that needs nothing else: what will be used, how it is cut, and why."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from visard.images import to_image
from visard.photos.quality import LIMITS, Limit
from visard.photos.selection import Box, Selection, Shot

PORTRAITS = 6
"""People shown beside the chosen one: those in most photos."""
CUT = 320
"""Pixels of a cut square on the sheet."""


@dataclass(frozen=True)
class Card:
    """One photo on the sheet, its pictures as data URIs."""

    shot: Shot
    title: str
    photo: Markup
    cut: Markup
    own: int | None

    @property
    def alt(self) -> str:
        """The photo in words, for those who cannot see it."""
        faces = len(self.shot.sightings)
        return f"Photo {self.shot.number}, {faces} face{'s' * (faces != 1)}, {self.shot.verdict}"


def render_sheet(selection: Selection, *, names: bool = False) -> str:
    """HTML of a selection; file names stand on it only with `names`, and never where they lie."""
    environment = Environment(
        loader=PackageLoader("visard.photos", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["place"] = _place
    cards = [_card(shot, selection, names) for shot in selection.shots]
    people = [one for one in selection.people if len(one.photos) > 1 or one.number == selection.chosen]
    return environment.get_template("sheet.html.j2").render(
        selection=selection,
        groups=_groups(cards, selection),
        people=[(one, _embed(one.portrait, CUT // 2)) for one in people[:PORTRAITS]],
        limits=[(limit, _bound(limit, limit.warn), _bound(limit, limit.refuse)) for limit in LIMITS],
    )


def _groups(cards: Sequence[Card], selection: Selection) -> list[tuple[str, list[Card]]]:
    """Photos by what becomes of them, empty groups left away."""
    if selection.chosen is None:
        return [("The photos", list(cards))]
    titles = {
        "used": "Used",
        "used with a warning": "Used, with a warning",
        "left out": "Left out",
        "unreadable": "Not readable",
    }
    groups = [
        (title, [card for card in cards if card.shot.verdict == verdict]) for verdict, title in titles.items()
    ]
    return [(title, members) for title, members in groups if members]


def _card(shot: Shot, selection: Selection, names: bool) -> Card:
    title = f"Photo {shot.number}" + (f" · {shot.file.name}" if names else "")
    photo = _embed(shot.preview, max(shot.preview.size)) if shot.preview is not None else Markup()
    cut = _embed(to_image(shot.picture), CUT) if shot.picture is not None else Markup()
    return Card(shot, title, photo, cut, selection.chosen)


def _place(box: Box) -> str:
    """A box of shares as CSS."""
    left, top, right, bottom = (100 * share for share in box)
    return f"left:{left:.2f}%;top:{top:.2f}%;width:{right - left:.2f}%;height:{bottom - top:.2f}%"


def _bound(limit: Limit, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{limit.worse} {limit.form.format(value)}"


def _embed(image: Image.Image, longest: int) -> Markup:
    """A data URI of a copy, from pixels alone."""
    small = image.copy()
    small.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=85)
    return Markup("data:image/webp;base64,") + base64.b64encode(buffer.getvalue()).decode()

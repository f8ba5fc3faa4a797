"""The pictures of a report: re-encoded from pixels, no metadata, each with words for those who cannot see."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from PIL import Image
from torch import Tensor

from visard.audit.inputs import Person
from visard.audit.result import ArmResult, AuditResult
from visard.images import to_image

THUMBNAIL = 256


@dataclass(frozen=True)
class Shown:
    """A picture of the report: its data URI, the words for those who cannot see it, and what a judge says."""

    source: Markup
    alt: str
    similarity: float | None = None
    linked: bool = False


@dataclass(frozen=True)
class Sheet:
    """One person under one prompt: reference photos, then the arms side by side."""

    title: str
    reference: list[Shown]
    arms: list[tuple[ArmResult, str, list[Shown]]]


def sheets(
    result: AuditResult, people: Sequence[Person], styles: Mapping[str, str], pictures: int
) -> list[Sheet]:
    """Up to `pictures` pictures of every person, prompt and arm; styles: arm -> class of its colour."""
    made = []
    for place, person in enumerate(people):
        reference = [
            Shown(_embed(photo), f"reference photo {index + 1}")
            for index, photo in enumerate(person.photos[:pictures])
        ]
        for prompt in dict.fromkeys(arm.prompt for arm in result.arms):
            label = f"Person {place + 1}" if len(people) > 1 else ""
            arms = [
                (arm, styles[arm.arm], _shown(arm, place, person.pictures[arm.key][:pictures]))
                for arm in result.arms
                if arm.prompt == prompt
            ]
            title = " · ".join(part for part in (label, prompt and f"“{prompt}”") if part)
            made.append(Sheet(title, reference, arms))
    return made


def _shown(arm: ArmResult, person: int, pictures: Tensor) -> list[Shown]:
    figures = arm.judges[0]
    rows = zip(pictures, figures.similarities[person], figures.linked_pictures[person], strict=False)
    shown = []
    for index, (picture, similarity, linked) in enumerate(rows):
        verdict = "no usable face" if similarity is None else f"similarity {similarity:.2f}"
        alt = f"{arm.arm}, picture {index + 1}: {verdict}{', linked' if linked else ''}"
        shown.append(Shown(_embed(picture), alt, similarity, linked))
    return shown


def _embed(picture: Tensor) -> Markup:
    image = to_image(picture)
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=85)
    return Markup("data:image/webp;base64,") + base64.b64encode(buffer.getvalue()).decode()

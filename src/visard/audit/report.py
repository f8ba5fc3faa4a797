"""The audit as one HTML page that needs nothing else.

Style, plots and pictures are inside, and no network is touched.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from PIL import Image
from torch import Tensor

from visard.audit.claim import TIER_MEANING
from visard.audit.inputs import Person
from visard.audit.plots import Line, det_plot, histogram_plot
from visard.audit.result import ArmResult, AuditResult, Flag, JudgeFigures
from visard.images import to_image
from visard.metrics import METRICS
from visard.metrics.attributes import mean_agreement
from visard.metrics.naturalness import NAME as NATURALNESS

THUMBNAIL = 256
STYLES = ("arm-1", "arm-2", "arm-3", "arm-4", "arm-5")


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


def render_report(
    result: AuditResult, people: Sequence[Person] = (), *, title: str = "Linkability audit", pictures: int = 6
) -> str:
    """HTML of an audit; give the audited `people` to show up to `pictures` pictures an arm and person.

    Pictures are re-encoded from pixels and carry no metadata; without `people` the report holds figures
    alone.
    """
    environment = Environment(
        loader=PackageLoader("visard.audit", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=_percent, number=_number, signed=_signed, whole=_whole, unbroken=_unbroken
    )
    styles = _styles(result)
    return environment.get_template("report.html.j2").render(
        result=result,
        title=title,
        tier_meaning=TIER_MEANING,
        styles=styles,
        sheets=_sheets(result, people, styles, pictures),
        groups=[
            (prompt, [arm for arm in result.arms if arm.prompt == prompt]) for prompt in _prompts(result)
        ],
        flags=_grouped_flags(result),
        figures=_of,
        shown_judge=result.judges[0].name,
        judges=[
            (
                card,
                Markup(_det(result, index, styles)),
                _histograms(result, index, styles),
            )
            for index, card in enumerate(result.judges)
        ],
        attributes=list(dict.fromkeys(name for arm in result.arms for name in arm.quality.attributes)),
        mean_agreement=mean_agreement,
        naturalness=NATURALNESS,
        arrow={name: {"lower": "↓", "higher": "↑"}.get(row.better, "") for name, row in METRICS.items()},
    )


def _styles(result: AuditResult) -> dict[str, str]:
    """The undefended arm is always the warm colour; the others take theirs in order."""
    names = list(dict.fromkeys(arm.arm for arm in result.arms))
    others = [name for name in names if name != result.settings.undefended]
    styles = {name: STYLES[1 + index % (len(STYLES) - 1)] for index, name in enumerate(others)}
    styles[result.settings.undefended] = STYLES[0]
    return {name: styles[name] for name in names}


def _prompts(result: AuditResult) -> list[str]:
    return list(dict.fromkeys(arm.prompt for arm in result.arms))


def _grouped_flags(result: AuditResult) -> list[tuple[str, list[Flag]]]:
    titles = dict.fromkeys(flag.title for flag in result.flags)
    return [(title, [flag for flag in result.flags if flag.title == title]) for title in titles]


def _unbroken(sentence: str) -> Markup:
    """Keeps a share and its interval on one line."""
    whole = re.sub(r"([\d.]+ %) (\[.*?\])", r'<span class="whole">\1 \2</span>', str(escape(sentence)))
    return Markup(whole)


def _of(arm: ArmResult, judge: str) -> JudgeFigures:
    return next(figures for figures in arm.judges if figures.judge == judge)


def _sheets(
    result: AuditResult, people: Sequence[Person], styles: dict[str, str], pictures: int
) -> list[Sheet]:
    sheets = []
    for number, person in enumerate(people):
        reference = [
            Shown(_embed(photo), f"reference photo {index + 1}")
            for index, photo in enumerate(person.photos[:pictures])
        ]
        for prompt in _prompts(result):
            arms = [arm for arm in result.arms if arm.prompt == prompt]
            label = f"Person {number + 1}" if len(people) > 1 else ""
            sheets.append(
                Sheet(
                    " · ".join(part for part in (label, prompt and f"“{prompt}”") if part),
                    reference,
                    [
                        (arm, styles[arm.arm], _shown(arm, number, person.pictures[arm.key][:pictures]))
                        for arm in arms
                    ],
                )
            )
    return sheets


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


def _det(result: AuditResult, index: int, styles: dict[str, str]) -> str:
    card = result.judges[index]
    lines = [Line("real photos", card.real_det, "real")]
    prompts = _prompts(result)
    for arm in result.arms:
        dash = f"{styles[arm.arm]} prompt-{min(prompts.index(arm.prompt), 2)}"
        lines.append(Line(arm.key, arm.judges[index].det, dash))
    names = ", ".join(line.label for line in lines)
    return det_plot(lines, f"Detection error trade-off of {card.name} for {names}; figures are in the table")


def _histograms(
    result: AuditResult, index: int, styles: dict[str, str]
) -> list[tuple[ArmResult, str, Markup]]:
    card = result.judges[index]
    every = [arm.judges[index].histogram for arm in result.arms]
    edges = [edge for histogram in every for edge in histogram.edges] or [0.0, 1.0]
    low, high = min(edges), max(*edges, card.search_threshold + 0.05)
    plots = []
    for arm, histogram in zip(result.arms, every, strict=True):
        title = f"Similarities of {arm.key} to the person and to strangers, by {card.name}"
        style = styles[arm.arm]
        plot = Markup(histogram_plot(histogram, style, low, high, card.search_threshold, title))
        plots.append((arm, style, plot))
    return plots


def _missing(value: float | None) -> bool:
    return value is None or not math.isfinite(value)


def _percent(value: float | None, digits: int = 0) -> str:
    return "–" if value is None or _missing(value) else f"{100 * value:.{digits}f}"


def _number(value: float | None, digits: int = 2) -> str:
    if value is None or _missing(value):
        return "–"
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")  # + 0.0: no minus before a zero


def _signed(value: float | None) -> str:
    return "–" if value is None or _missing(value) else f"{100 * value:+.0f}".replace("-", "−")


def _whole(value: float | None) -> str:
    return "–" if value is None or _missing(value) else f"{value:g}"

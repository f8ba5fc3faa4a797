"""Usefulness against linkability, arm by arm, as an SVG: no arm beats those on the line in both."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from visard.benchmark.measures import Measures
from visard.benchmark.per_person import Interval
from visard.benchmark.summary import AGREEMENT, ALL_PROMPTS, APPEARANCE, FSR
from visard.benchmark.table import ISM, Table

WIDTH, HEIGHT = 640.0, 440.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 150.0, 20.0, 52.0
TICKS = 5
"""At least so many on an axis."""
LINE, LETTER = 14.0, 7.0
"""Height of a line of words, and what a letter takes in width."""
RADIUS = 4.0
CROWD = 10
"""So many points have numbers, and their names stand in a list beside the plot."""
NAMES = {
    APPEARANCE: "described as the person is",
    AGREEMENT: "attributes that agree with the photos",
    FSR: "pictures with a face",
}
"""What usefulness is measured by, the finest first."""
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1a1a1a}.faint{fill:#6b6b6b}"
    ".label{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}"
    "path{stroke:#6b6b6b;fill:none}.interval{stroke:#c4c4c4}"
    ".front{stroke:#0b63ce;stroke-dasharray:5 3}circle{fill:#0b63ce}"
)

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class Point:
    """An arm: x is bad for privacy, y is good for use."""

    title: str
    x: Interval
    y: Interval


def points(table: Table, measured: Measures) -> tuple[str, list[Point]]:
    """What usefulness is measured by, and each measured row: means over all prompts.

    Appearance where the kit has a describer, attribute agreement where it has regressors, else the share of
    pictures with a face.
    """
    summary = measured.summary
    known = {row.figure for row in summary.rows if row.people}
    useful = next(figure for figure in NAMES if figure in known or figure == FSR)
    found = []
    for row in table.rows:
        x = summary.find(row.arm, ALL_PROMPTS, summary.member(*ISM.of), ISM.key)
        y = summary.find(row.arm, ALL_PROMPTS, "", useful)
        if x is not None and y is not None and x.people and y.people:
            found.append(Point(row.title, x.mean, y.mean))
    return useful, found


def front(found: Sequence[Point]) -> list[Point]:
    """The points that no other beats in one without losing in the other, from the left."""
    best: list[Point] = []
    for point in sorted(found, key=lambda each: (each.x.value, -each.y.value)):
        if not best or point.y.value > best[-1].y.value:
            best.append(point)
    return best


def draw(table: Table, measured: Measures) -> str:
    """The plot, with 95 % intervals; empty axes where nothing is measured."""
    useful, found = points(table, measured)
    low_x, high_x = _range([each.x for each in found])
    low_y, high_y = _range([each.y for each in found])

    def x(value: float) -> float:
        return LEFT + (value - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low_y) / (high_y - low_y) * (HEIGHT - TOP - BOTTOM)

    body = [f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>']
    for value in ticks(low_x, high_x):
        body.append(_text(x(value), HEIGHT - BOTTOM + 18, f"{value:.2f}", "middle", "faint"))
    for value in ticks(low_y, high_y):
        body.append(_text(LEFT - 8, y(value) + 4, f"{value:.2f}", "end", "faint"))
    body.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "similarity to the person: ISM", "middle"))
    body.append(_text(LEFT, TOP - 6, f"usefulness: {NAMES[useful]}", "start"))
    for point in found:
        across, up = x(point.x.value), y(point.y.value)
        ways = [f"M{x(low):.1f} {up:.1f}H{x(high):.1f}" for low, high in _bounds(point.x)]
        ways += [f"M{across:.1f} {y(low):.1f}V{y(high):.1f}" for low, high in _bounds(point.y)]
        body += [f'<path class="interval" d="{way}"/>' for way in ways]
    line = "L".join(f"{x(each.x.value):.1f} {y(each.y.value):.1f}" for each in front(found))
    if line:
        body.append(f'<path class="front" d="M{line}"/>')
    places = [(x(each.x.value), y(each.y.value)) for each in found]
    body += [f'<circle cx="{across:.1f}" cy="{up:.1f}" r="{RADIUS:g}"/>' for across, up in places]
    titles, width = [each.title for each in found], WIDTH
    if len(found) >= CROWD:
        names = [f"{number}  {title}" for number, title in enumerate(titles, start=1)]
        titles = [str(number) for number in range(1, len(names) + 1)]
        beside = WIDTH - RIGHT + 2 * LINE
        body += [_text(beside, TOP + LINE * (row + 1.5), name, "start") for row, name in enumerate(names)]
        width = beside + LETTER * max(map(len, names)) + LINE
    for title, (across, up, anchor) in zip(titles, labels(titles, places), strict=True):
        body.append(_text(across, up, title, anchor, "label"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {HEIGHT:g}" role="img">'
        f"<title>{escape(table.caption)}</title><style>{STYLE}</style>"
        f'<rect width="{width:g}" height="{HEIGHT:g}" fill="#fff"/>{"".join(body)}</svg>\n'
    )


def labels(titles: Sequence[str], places: Sequence[tuple[float, float]]) -> list[tuple[float, float, str]]:
    """Where the words beside points begin or end: as near as other words and points leave free."""
    dots = [(across - RADIUS, up - RADIUS, across + RADIUS, up + RADIUS) for across, up in places]
    taken: list[Box] = []
    found = []
    for title, (across, up) in zip(titles, places, strict=True):
        chosen = min(
            _beside((len(title) + 1) * LETTER, across, up),
            key=lambda each: sum(shared(each[1], other) for other in (*taken, *dots)),
        )
        found.append(chosen[0])
        taken.append(chosen[1])
    return found


def _beside(width: float, across: float, up: float) -> Iterator[tuple[tuple[float, float, str], Box]]:
    """Places for words of that width, the nearest first, and the boxes they fill."""
    for shift in (-6.0, 10.0, -6.0 - LINE, 10.0 + LINE, -6.0 - 2 * LINE, 10.0 + 2 * LINE):
        for anchor, start in (("start", across + 8), ("end", across - 8 - width)):
            at = across + 8 if anchor == "start" else across - 8
            box = (start, up + shift - LINE + 3, start + width, up + shift + 3)
            if start > LEFT:
                yield (at, up + shift, anchor), box


def shared(one: Box, other: Box) -> float:
    """The area that two boxes have in common."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)


def ticks(low: float, high: float) -> list[float]:
    """Round values of an axis, steps of 1, 2 or 5."""
    rough = (high - low) / TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = max(each * power for each in (1, 2, 5) if each * power <= rough)
    return [index * step for index in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _range(intervals: Sequence[Interval]) -> tuple[float, float]:
    """Of an axis, a little wider than what stands on it."""
    ends = [end for each in intervals for end in (each.value, *(b for pair in _bounds(each) for b in pair))]
    if not ends:
        return 0.0, 1.0
    margin = max(0.02, 0.08 * (max(ends) - min(ends)))
    return min(ends) - margin, max(ends) + margin


def _bounds(interval: Interval) -> list[tuple[float, float]]:
    return [(interval.low, interval.high)] if interval.low <= interval.high else []


def _text(x: float, y: float, words: str, anchor: str, kind: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(words)}</text>'

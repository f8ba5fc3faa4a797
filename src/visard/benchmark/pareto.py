"""Usefulness against linkability, arm by arm, as an SVG: no arm beats those on the line in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from visard.benchmark.acceptance import ISM, SIMILARITY
from visard.benchmark.measures import Measures
from visard.benchmark.summary import ALL_PROMPTS, FSR, Interval
from visard.benchmark.table import Table

WIDTH, HEIGHT = 640.0, 440.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 150.0, 20.0, 52.0
TICKS = 5
LINE, WORDS = 14.0, 120.0
"""Height of a line of words, and what the longest one takes in width."""
AGREEMENT = "agreement"
NAMES = {AGREEMENT: "attributes that agree with the photos", FSR: "pictures with a face"}
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1a1a1a}.faint{fill:#6b6b6b}"
    "path{stroke:#6b6b6b;fill:none}.front{stroke:#0b63ce;stroke-dasharray:5 3}circle{fill:#0b63ce}"
)


@dataclass(frozen=True)
class Point:
    """An arm: x is bad for privacy, y is good for use."""

    title: str
    x: Interval
    y: Interval


def points(table: Table, measured: Measures) -> tuple[str, list[Point]]:
    """What usefulness is measured by, and each measured row: means over all prompts.

    Attribute agreement where the kit has regressors, else the share of pictures with a face.
    """
    summary = measured.summary
    rows = [row for row in summary.rows if row.figure == AGREEMENT and row.people]
    useful = AGREEMENT if rows else FSR
    found = []
    for row in table.rows:
        x = summary.find(row.arm, ALL_PROMPTS, summary.member(ISM), SIMILARITY)
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
    for step in range(TICKS + 1):
        at_x = low_x + step / TICKS * (high_x - low_x)
        at_y = low_y + step / TICKS * (high_y - low_y)
        body.append(_text(x(at_x), HEIGHT - BOTTOM + 18, f"{at_x:.2f}", "middle", faint=True))
        body.append(_text(LEFT - 8, y(at_y) + 4, f"{at_y:.2f}", "end", faint=True))
    body.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "similarity to the person: ISM", "middle"))
    body.append(_text(LEFT, TOP - 6, f"usefulness: {NAMES[useful]}", "start"))
    line = "L".join(f"{x(each.x.value):.1f} {y(each.y.value):.1f}" for each in front(found))
    if line:
        body.append(f'<path class="front" d="M{line}"/>')
    for point in found:
        across, up = x(point.x.value), y(point.y.value)
        body += [f'<path d="M{x(low):.1f} {up:.1f}H{x(high):.1f}"/>' for low, high in _bounds(point.x)]
        body += [f'<path d="M{across:.1f} {y(low):.1f}V{y(high):.1f}"/>' for low, high in _bounds(point.y)]
        body.append(f'<circle cx="{across:.1f}" cy="{up:.1f}" r="4"/>')
    places = [(x(each.x.value), y(each.y.value)) for each in found]
    for point, (across, up) in zip(found, _labels(places), strict=True):
        body.append(_text(across, up, point.title, "start"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img">'
        f"<title>{escape(table.caption)}</title><style>{STYLE}</style>"
        f'<rect width="{WIDTH:g}" height="{HEIGHT:g}" fill="#fff"/>{"".join(body)}</svg>\n'
    )


def _labels(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Where the words beside points begin: to the right, as far above or below as the others leave free."""
    taken: list[tuple[float, float]] = []
    for across, up in places:
        shifts = sorted((LINE * step for step in range(-len(places), len(places) + 1)), key=abs)
        free = (
            (across + 8, up - 6 + shift)
            for shift in shifts
            if all(abs(across + 8 - x) > WORDS or abs(up - 6 + shift - y) >= LINE for x, y in taken)
        )
        taken.append(next(free, (across + 8, up - 6)))
    return taken


def _range(intervals: Sequence[Interval]) -> tuple[float, float]:
    """Of an axis, a little wider than what stands on it."""
    ends = [end for each in intervals for end in (each.value, *(b for pair in _bounds(each) for b in pair))]
    if not ends:
        return 0.0, 1.0
    margin = max(0.02, 0.08 * (max(ends) - min(ends)))
    return min(ends) - margin, max(ends) + margin


def _bounds(interval: Interval) -> list[tuple[float, float]]:
    return [(interval.low, interval.high)] if interval.low <= interval.high else []


def _text(x: float, y: float, words: str, anchor: str, *, faint: bool = False) -> str:
    style = ' class="faint"' if faint else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(words)}</text>'

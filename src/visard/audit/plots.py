"""The plots of a report as inline SVG.

Colours come from the page's style sheet, so both themes and print follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from statistics import NormalDist

from visard.audit.result import Curve, Histogram
from visard.metrics.bootstrap import Estimate

WIDTH, HEIGHT = 420.0, 320.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 14.0, 12.0, 44.0
LABEL = 14.0  # room above a histogram for the word at its threshold
FMR_RANGE, FNMR_RANGE = (1e-4, 0.5), (0.01, 0.99)
FMR_TICKS = ((1e-4, "0.01"), (1e-3, "0.1"), (1e-2, "1"), (0.1, "10"), (0.5, "50"))
FNMR_TICKS = ((0.01, "1"), (0.1, "10"), (0.3, "30"), (0.5, "50"), (0.7, "70"), (0.9, "90"), (0.99, "99"))


@dataclass(frozen=True)
class Line:
    """A curve, its label and the class that gives it colour and dash."""

    label: str
    curve: Curve
    style: str


def det_plot(lines: Sequence[Line], title: str) -> str:
    """DET curves on normal-deviate axes, in percent.

    Straight for normal scores, lower left is better recognition.
    """
    body = [_frame()]
    for value, label in FMR_TICKS:
        x = _deviate(value, FMR_RANGE, LEFT, WIDTH - RIGHT)
        body.append(f'<path class="rule" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        body.append(_text(x, HEIGHT - BOTTOM + 16, label, "middle"))
    for value, label in FNMR_TICKS:
        y = _deviate(value, FNMR_RANGE, HEIGHT - BOTTOM, TOP)
        body.append(f'<path class="rule" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        body.append(_text(LEFT - 8, y + 4, label, "end"))
    body.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "strangers falsely matched, %", "middle"))
    body.append(_upright("pictures not matched, %"))
    for line in lines:
        points = [
            f"{_deviate(fmr, FMR_RANGE, LEFT, WIDTH - RIGHT):.1f} "
            f"{_deviate(fnmr, FNMR_RANGE, HEIGHT - BOTTOM, TOP):.1f}"
            for fmr, fnmr in zip(line.curve.fmr, line.curve.fnmr, strict=True)
            if FMR_RANGE[0] <= fmr <= FMR_RANGE[1]
        ]
        if points:
            path = "L".join(dict.fromkeys(points))
            body.append(
                f'<path class="line {line.style}" d="M{path}"><title>{escape(line.label)}</title></path>'
            )
    return _svg(body, WIDTH, HEIGHT, title)


def histogram_plot(
    histogram: Histogram, style: str, low: float, high: float, threshold: float, title: str
) -> str:
    """Densities of similarity to the person (filled) and strangers (outlined), and the search threshold."""
    width, height = 290.0, 124.0
    floor = height - 30
    if not histogram.edges:
        return _svg([_text(width / 2, height / 2, "no faces", "middle")], width, height, title)

    def across(value: float) -> float:
        return 12 + (value - low) / (high - low) * (width - 24)

    top = max(*histogram.mated, *histogram.non_mated)
    body = [
        f'<path class="mated {style}" d="{_steps(histogram.edges, histogram.mated, across, floor, top)}"/>',
        f'<path class="others" d="{_steps(histogram.edges, histogram.non_mated, across, floor, top)}"/>',
        f'<path class="base" d="M12 {floor}H{width - 12}"/>',
    ]
    if low < threshold < high:
        x = across(threshold)
        body.append(f'<path class="threshold" d="M{x:.1f} {TOP}V{floor}"/>')
        anchor = "start" if x < width * 0.75 else "end"
        body.append(_text(x + (5 if anchor == "start" else -5), TOP + 9, "threshold", anchor))
    for step in range(int(low * 4) - 1, int(high * 4) + 2):
        value = step / 4
        if low <= value <= high:
            body.append(_text(across(value), floor + 17, f"{value:g}".replace("-", "−"), "middle"))
    return _svg(body, width, height, title)


@dataclass(frozen=True)
class Point:
    """An arm in the plane of linkage and resemblance, or a tier's share; intervals are drawn as bars."""

    label: str
    style: str
    linked: Estimate
    resemblance: Estimate | None = None


def trade_off_plot(points: Sequence[Point], title: str, measure: str = "attributes that agree, %") -> str:
    """Resemblance against linkage, both in hundredths, with the arms that no other arm beats in both joined.

    Points without a resemblance are left out; upper left is better.
    """
    shown = [(point, point.resemblance) for point in points if point.resemblance is not None]
    lows = [value.low for _, value in shown]
    highs = [value.high for _, value in shown]
    low, high = max(min(0.0, *lows), min(lows) - 0.06), min(1.0, max(highs) + 0.06)

    def across(value: float) -> float:
        return LEFT + value * (WIDTH - RIGHT - LEFT)

    def up(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - BOTTOM - TOP)

    body = [_frame(), *_grid(across, up, low, high)]
    body.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "pictures linked, %", "middle"))
    body.append(_upright(measure))
    best = frontier([(point.linked.value, value.value) for point, value in shown])
    path = "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in best)
    body.append(f'<path class="frontier" d="M{path}"/>')
    for point, value in shown:
        x, y = across(point.linked.value), up(value.value)
        bars = (
            f"M{across(point.linked.low):.1f} {y:.1f}H{across(point.linked.high):.1f}"
            f"M{x:.1f} {up(value.low):.1f}V{up(value.high):.1f}"
        )
        body.append(f'<path class="spread {point.style}" d="{bars}"/>')
        body.append(f'<circle class="dot {point.style}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
        left = x > WIDTH * 0.6
        body.append(_text(x + (-9 if left else 9), y - 8, point.label, "end" if left else "start", "label"))
    return _svg(body, WIDTH, HEIGHT, title)


def frontier(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those (linked, resemblance) that no other point is as good as in both, by linkage."""
    kept = [(x, y) for x, y in points if not any(a <= x and b >= y and (a, b) != (x, y) for a, b in points)]
    return sorted(set(kept))


def tier_plot(tiers: Sequence[str], rows: Sequence[tuple[Point, int]], title: str) -> str:
    """Linked share with its interval at each tier, arm by arm; a row is a point and its tier's place."""
    height = 250.0
    floor = height - 34
    arms = list(dict.fromkeys(point.label for point, _ in rows))
    step = (WIDTH - RIGHT - LEFT) / len(tiers)

    def up(value: float) -> float:
        return floor - value * (floor - TOP)

    body = [f'<path class="base" d="M{LEFT} {TOP}V{floor}H{WIDTH - RIGHT}"/>']
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        body.append(f'<path class="rule" d="M{LEFT} {up(value):.1f}H{WIDTH - RIGHT}"/>')
        body.append(_text(LEFT - 8, up(value) + 4, f"{100 * value:g}", "end"))
    body.append(_upright("linked, %", floor))
    for place, tier in enumerate(tiers):
        body.append(_text(LEFT + (place + 0.5) * step, floor + 18, tier, "middle"))
    for number, arm in enumerate(arms):
        shift = (number - (len(arms) - 1) / 2) * min(18.0, step / (len(arms) + 1))
        mine = [
            (LEFT + (place + 0.5) * step + shift, point)
            for point, place in sorted(rows, key=lambda row: row[1])
            if point.label == arm
        ]
        style = mine[0][1].style
        path = "L".join(f"{x:.1f} {up(point.linked.value):.1f}" for x, point in mine)
        body.append(f'<path class="line thin {style}" d="M{path}"/>')
        for x, point in mine:
            bar = f"M{x:.1f} {up(point.linked.low):.1f}V{up(point.linked.high):.1f}"
            body.append(f'<path class="spread {style}" d="{bar}"/>')
            body.append(
                f'<circle class="dot {style}" cx="{x:.1f}" cy="{up(point.linked.value):.1f}" r="4.5"/>'
            )
    return _svg(body, WIDTH, height, title)


def _grid(
    across: Callable[[float], float], up: Callable[[float], float], low: float, high: float
) -> Iterator[str]:
    """Lines at round percentages, linkage over all of 0 to 100, resemblance over the range shown."""
    for step in range(0, 101, 25):
        x = across(step / 100)
        yield f'<path class="rule" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
        yield _text(x, HEIGHT - BOTTOM + 16, f"{step}", "middle")
    every = 5 if high - low < 0.35 else 10 if high - low < 0.7 else 20
    for step in range(-100, 101, every):
        if low <= step / 100 <= high:
            yield f'<path class="rule" d="M{LEFT} {up(step / 100):.1f}H{WIDTH - RIGHT}"/>'
            yield _text(LEFT - 8, up(step / 100) + 4, f"{step}", "end")


def _steps(
    edges: Sequence[float],
    values: Sequence[float],
    across: Callable[[float], float],
    floor: float,
    top: float,
) -> str:
    path = [f"M{across(edges[0]):.1f} {floor:.1f}"]
    for left, right, value in zip(edges[:-1], edges[1:], values, strict=True):
        y = floor - value / top * (floor - TOP - LABEL)
        path.append(f"L{across(left):.1f} {y:.1f}H{across(right):.1f}")
    return "".join(path) + f"V{floor:.1f}Z"


def _deviate(value: float, limits: tuple[float, float], start: float, end: float) -> float:
    normal = NormalDist()
    low, high = (normal.inv_cdf(limit) for limit in limits)
    place = normal.inv_cdf(min(max(value, limits[0]), limits[1]))
    return start + (place - low) / (high - low) * (end - start)


def _frame() -> str:
    return f'<path class="base" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>'


def _upright(label: str, floor: float = HEIGHT - BOTTOM) -> str:
    place = f"translate(14 {(TOP + floor) / 2:g}) rotate(-90)"
    return f'<text class="axis" transform="{place}" text-anchor="middle">{escape(label)}</text>'


def _text(x: float, y: float, label: str, anchor: str, style: str = "axis") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(label)}</text>'


def _svg(body: Sequence[str], width: float, height: float, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title, quote=True)}">'
        f"{''.join(body)}</svg>"
    )

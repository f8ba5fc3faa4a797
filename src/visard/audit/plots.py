"""The two plots of a report as inline SVG.

Colours come from the page's style sheet, so both themes and print follow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from statistics import NormalDist

from visard.audit.result import Curve, Histogram

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
    body.append(
        f'<text class="axis" transform="translate(14 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" '
        'text-anchor="middle">pictures not matched, %</text>'
    )
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


def _text(x: float, y: float, label: str, anchor: str) -> str:
    return f'<text class="axis" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(label)}</text>'


def _svg(body: Sequence[str], width: float, height: float, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title, quote=True)}">'
        f"{''.join(body)}</svg>"
    )

"""Numbers as the report prints them; what does not exist is a dash."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from markupsafe import Markup, escape

DASH = "–"


def percent(value: float | None, digits: int = 0) -> str:
    """A share in [0, 1], without the sign."""
    return DASH if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f}"


def number(value: float | None, digits: int = 2) -> str:
    """A number with a true minus sign."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")  # + 0.0: no minus before a zero


def signed(value: float | None) -> str:
    """A change of a share, in points."""
    return DASH if value is None or not math.isfinite(value) else f"{100 * value:+.0f}".replace("-", "−")


def whole(value: float | None) -> str:
    """As short as it goes: 12, 12.5."""
    return DASH if value is None or not math.isfinite(value) else f"{value:g}"


def rate(value: float) -> str:
    """A false-positive rate: .01, .018, not .017857."""
    return f"{value:.2g}"


def limit(value: float) -> str:
    """The end of a metric's range."""
    return ("−∞" if value < 0 else "∞") if math.isinf(value) else f"{value:g}".replace("-", "−")


def unbroken(sentence: str) -> Markup:
    """Keeps a share and its interval on one line, and makes the share stand out."""
    shown = re.sub(
        r"([\d.]+ %) (\[.*?\])",
        r'<span class="whole"><strong>\1</strong> <span class="ci">\2</span></span>',
        str(escape(sentence)),
    )
    return Markup(shown)


FILTERS: dict[str, Callable[..., str]] = {
    filter.__name__: filter for filter in (percent, number, signed, whole, rate, limit, unbroken)
}

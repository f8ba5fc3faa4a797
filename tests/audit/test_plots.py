"""The plots' own arithmetic; how they look is looked at."""

from xml.etree import ElementTree

import pytest

from visard.audit.plots import Point, frontier, tier_plot, trade_off_plot
from visard.metrics.bootstrap import Estimate


def share(value: float) -> Estimate:
    return Estimate(value, value - 0.05, value + 0.05, 10, "pictures")


def test_frontier_holds_what_nothing_beats_in_both() -> None:
    none, good, beaten, words = (0.9, 0.95), (0.2, 0.9), (0.3, 0.8), (0.0, 0.7)
    assert frontier([none, good, beaten, words]) == [words, good, none]
    assert frontier([good, good]) == [good]


def test_trade_off_is_well_formed_and_places_better_arms_higher_and_further_left() -> None:
    points = [Point("a <b>", "arm-1", share(0.8), share(0.7)), Point("c", "arm-2", share(0.2), share(0.9))]
    plot = ElementTree.fromstring(trade_off_plot(points, "trade-off"))
    worse, better = plot.findall("circle")
    assert float(better.attrib["cx"]) < float(worse.attrib["cx"])
    assert float(better.attrib["cy"]) < float(worse.attrib["cy"])
    assert plot.attrib["aria-label"] == "trade-off"


@pytest.mark.parametrize("arms", [["none"], ["none", "iddm"]])
def test_a_dot_for_each_tier_and_arm(arms: list[str]) -> None:
    rows = [(Point(arm, "arm-1", share(0.2 + 0.1 * place)), place) for arm in arms for place in range(3)]
    plot = ElementTree.fromstring(tier_plot(["T0", "T1", "T2"], rows, "tiers"))
    dots = plot.findall("circle")
    assert len(dots) == 3 * len(arms)
    first, second, _ = dots[:3]
    assert float(second.attrib["cy"]) < float(first.attrib["cy"])  # more linked, further up

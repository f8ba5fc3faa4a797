"""The page of an attack campaign: headline, chance and cautions."""

from __future__ import annotations

from dataclasses import replace

from visard.attacks import AttackTier
from visard.benchmark import attackers
from visard.metrics.bootstrap import Estimate

SHARE = Estimate(0.4, 0.2, 0.6, 20, "subjects")
FIRST = AttackTier(
    tier="T0",
    description="the best recogniser",
    linked=SHARE,
    count=20,
    attack="arcface; 1 picture",
    people=20,
    gallery=132,
    k=1,
    fpir=0.01,
    fmr=1e-3,
    searches=160,
    matched=SHARE,
    control=Estimate(0.0, 0.0, 0.01, 20, "subjects"),
    false_positives=None,
    together=[],
    tried=[],
)
LEARNED = replace(
    FIRST, tier="T4", k=16, searches=10, attack="all; 16 pictures", control=replace(SHARE, low=0.1)
)


def test_the_page_leads_with_who_knows_the_tool_and_shows_chance() -> None:
    page = attackers.markdown({"none": [FIRST, LEARNED], "attributes": [FIRST]})
    assert "| none | 0.40 [0.20, 0.60] | 0.40 [0.20, 0.60] |" in page
    assert "| attributes | 0.40 [0.20, 0.60] | – |" in page
    assert "| none | 0.00 [0.00, 0.01] | 0.40 [0.10, 0.60] |" in page
    assert "**The headline is T4**" in page
    assert page.count("- none: At attack tier T4") == 1
    assert "with 16 pictures, at the highest score of 10 searches of people who are not enrolled" in page
    assert "- Caution, none, T4: 10 searches" in page
    assert "- Caution, none, T4: other people's pictures link to a person more often than by chance" in page
    assert "Caution, none, T0" not in page


def test_without_it_there_is_no_headline() -> None:
    page = attackers.markdown({"none": [FIRST]})
    assert "headline" not in page
    assert "at a false-positive rate of 0.01" in FIRST.claim

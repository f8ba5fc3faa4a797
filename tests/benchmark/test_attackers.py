"""The page of an attack campaign: headline, chance and cautions."""

from __future__ import annotations

from dataclasses import replace

from visard.attacks import AttackTier
from visard.attacks.result import LearnedFrom
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
    fpir=0.05,
    asked_fpir=0.05,
    fmr=1e-3,
    dev=20,
    train=0,
    first=replace(SHARE, value=0.5),
    matched=SHARE,
    ever=replace(SHARE, value=0.55),
    at_rate=replace(SHARE, value=0.35),
    control=Estimate(0.0, 0.0, 0.01, 20, "subjects"),
    false_positives=Estimate(0.06, 0.03, 0.1, 20, "subjects"),
    together=[],
    learned_from=[],
    tried=[],
)
LEARNED = replace(
    FIRST,
    tier="T4",
    k=16,
    train=30,
    asked_fpir=0.01,
    attack="all; 16 pictures",
    false_positives=SHARE,
    learned_from=[LearnedFrom(15, "all", replace(SHARE, value=0.3))],
)


def test_the_page_leads_with_who_knows_the_tool_and_shows_chance() -> None:
    page = attackers.markdown({"none": [FIRST, LEARNED], "attributes": [FIRST]})
    assert "| none | 0.40 [0.20, 0.60] | 0.40 [0.20, 0.60] |" in page
    assert "| attributes | 0.40 [0.20, 0.60] | – |" in page
    assert "| none | 0.50 [0.20, 0.60] | 0.50 [0.20, 0.60] |" in page
    assert "| none | 0.06 [0.03, 0.10] | 0.40 [0.20, 0.60] |" in page
    assert "on 20 other people; from T4 on it learned from 30 others" in page
    assert "**The headline is T4**" in page
    assert page.count("- none: At attack tier T4") == 1
    assert (
        "with 16 pictures a search and 30 people's models, at a threshold set for a false-positive rate"
        in page
    )
    assert "What is chosen when it learns from 15 people's 30%." in page
    assert "- Caution, none at T4: it links 40%, and 30% when it learns from 15 people instead of 30" in page
    assert "- Caution, none at T4: 20 people to set the threshold by" in page
    assert "- Caution, none at T4: 40% of the searches for somebody who is not enrolled name somebody" in page
    assert "none at T0" not in page
    everywhere = attackers.markdown({"none": [LEARNED], "0.1": [LEARNED]})
    assert everywhere.count("20 people to set the threshold by") == 1
    assert "- Caution, everywhere: 20 people to set" in everywhere


def test_without_it_there_is_no_headline() -> None:
    page = attackers.markdown({"none": [FIRST]})
    assert "headline" not in page
    assert "for a false-positive rate of 0.05" in FIRST.claim


def test_a_stronger_attack_that_links_less_is_said() -> None:
    weaker = replace(LEARNED, linked=Estimate(0.05, 0.0, 0.1, 20, "subjects"), arm="none")
    page = attackers.markdown({"none": [replace(FIRST, arm="none"), weaker]})
    assert "- Caution, none: T4 links 5% where T0, which it includes, links 40%." in page


def test_figures_for_programs() -> None:
    lines = attackers.as_csv({"none": [FIRST, LEARNED]}).splitlines()
    assert lines[0].startswith(
        "arm,tier,linked,low,high,ever,at_rate,first,false_positives,people,gallery,dev,train,k"
    )
    assert lines[2] == "none,T4,0.4,0.2,0.6,0.55,0.35,0.5,0.4,20,132,20,30,16,0.05,all; 16 pictures"

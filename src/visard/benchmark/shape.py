"""What must hold of a whole table: said below it, item by item."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from visard.benchmark.ablations import GUIDANCE
from visard.benchmark.acceptance import HIGH, LOW, MEDIUM, UNMEASURED, Check, below, every, keeps_faces, rises
from visard.benchmark.arms import ATTRIBUTES
from visard.benchmark.measures import Measures
from visard.benchmark.paper import RIVALS, WITHOUT_AIM
from visard.benchmark.per_person import Interval
from visard.benchmark.protocol import AT, NONE
from visard.benchmark.summary import ALL_PROMPTS, OF_PHOTOS
from visard.benchmark.table import (
    AGREEMENT,
    AGREEMENT_ALL,
    APPEARANCE,
    APPEARANCE_ALL,
    FID,
    FSR,
    ISM,
    LINKED,
    UNNATURAL,
    Figure,
    Table,
)

CHEAPER = {"early-": "after {} steps", "strength-": "at strength {}"}
"""Arms that lower similarity without a defence, by how their names begin, and how to say which."""


def remarks(table: Table, measured: Measures) -> list[Check]:
    """The items of a table that has some."""
    items = SHAPES.get(table.name)
    return [] if items is None else list(items(measured))


def _defence_and_rivals(measured: Measures) -> Iterator[Check]:
    """Table 1: the dial keeps faces and is a dial; rivals pay for what they lower."""
    summary = measured.summary
    for arm in (HIGH, MEDIUM, LOW):
        yield keeps_faces(summary, arm)
    yield rises(measured)
    for _, arm in RIVALS:
        yield _pays(measured, arm)


def _sharper(measured: Measures) -> Iterator[Check]:
    """The guidance of the papers: rivals pay for what they lower there, too."""
    for _, arm in RIVALS:
        yield _pays(measured, arm, f"{AT}{GUIDANCE:g}")


def _pays(measured: Measures, rival: str, drawn: str = "") -> Check:
    """A rival lowers similarity only with fewer faces or a worse FID than the defence at its strongest.

    All by intervals of differences over the same people: what they leave open is not decided. A rival lowers
    it where it does beside no defence, or beside the same photos without aim. drawn: what follows the names
    of all arms.
    """
    arm, undefended, defended = (f"{each}{drawn}" for each in (rival, NONE, HIGH))
    demand = f"{arm} lowers ISM only with a lower FSR or a worse FID than rho = {defended}"
    change = measured.difference(arm, undefended, ISM)
    if change is None:
        return Check(demand, UNMEASURED, None)
    found, changes = f"ISM {change.signed(2)}", [change]
    for title, plain in WITHOUT_AIM:
        if (aimed := measured.difference(arm, f"{plain}{drawn}", ISM)) is not None:
            found += f", beside “{title}” {aimed.signed(2)}"
            changes.append(aimed)
    lowered = [below(each, 0.0) for each in changes]
    if True not in lowered:
        verdict = "it lowers nothing" if None not in lowered else "not shown to lower it"
        return Check(demand, f"{found}: {verdict}", None if None in lowered else True)
    faces, quality = (measured.difference(arm, defended, figure) for figure in (FSR, FID))
    if faces is None or quality is None:
        return Check(demand, f"{found}, FSR or FID not measured", None)
    found += f"; FSR {faces.signed(2)} and FID {quality.signed(1)} against rho = {defended}"
    if (unnatural := measured.difference(arm, defended, UNNATURAL)) is not None:
        found += f", unnaturalness {unnatural.signed(1)}"
    if below(faces, 0.0) or below(_negative(quality), 0.0):
        return Check(demand, found, True)
    if below(faces, 0.0) is False and below(_negative(quality), 0.0) is False:
        return Check(demand, found, False)
    return Check(demand, f"{found}: FSR and FID do not tell", None)


def _negative(interval: Interval) -> Interval:
    return Interval(-interval.value, -interval.high, -interval.low)


def _gate(measured: Measures) -> Iterator[Check]:
    """More of the person than words alone give, and less linked than no defence (evaluation.md).

    Both over all pictures as well as over those with a face: else whoever destroys faces would pass.
    """
    for arm in (HIGH, MEDIUM, LOW):
        seen, seen_all = _resemblance(measured, arm)
        demand = (
            f"rho = {arm}: more of the person is seen than words alone show ({seen.key}), and it is linked "
            "less than none"
        )
        lifts = [measured.difference(arm, ATTRIBUTES, figure) for figure in (seen, seen_all)]
        judge = _strongest(measured, arm)
        figures = (replace(ISM, of=(judge,)), replace(LINKED, of=(judge,)))
        links = [measured.difference(arm, NONE, figure) for figure in figures]
        known = [each for each in (*lifts, *links) if each is not None]
        if len(known) < len(lifts) + len(links):
            yield Check(demand, UNMEASURED, None)
            continue
        lift, lift_all, similarity, linked = known
        found = (
            f"{seen.key} {lift.signed(2)}, of all pictures {lift_all.signed(2)}, "
            f"similarity {similarity.signed(2)}, linked {linked.signed(2)} by {judge}, which links most of it"
        )
        photos, words = (
            measured.summary.find(each, ALL_PROMPTS, "", figure)
            for each, figure in ((arm, seen.key + OF_PHOTOS), (ATTRIBUTES, seen.key))
        )
        if photos is not None and words is not None and photos.mean.value <= words.mean.value:
            found += (
                f"; not even real photos show more, {photos.mean.value:.2f} with one another against "
                f"{words.mean.value:.2f}: this measure does not tell"
            )
            yield Check(demand, found, None)
            continue
        halves = [below(_negative(each), 0.0) for each in (lift, lift_all)]
        yield Check(demand, found, every([*halves, below(similarity, 0.0), below(linked, 0.0)]))


def _strongest(measured: Measures, arm: str) -> str:
    """The judge that links most of an arm's pictures: an attacker would choose it."""
    summary = measured.summary

    def linked(judge: str) -> float:
        row = summary.find(arm, ALL_PROMPTS, judge, LINKED.key)
        return row.mean.value if row is not None else -math.inf

    return max(summary.recognizers("judges"), key=linked, default="")


def _resemblance(measured: Measures, arm: str) -> tuple[Figure, Figure]:
    """The finest measure there is of how much of the person an arm shows: of its faces, and of all."""
    row = measured.summary.find(arm, ALL_PROMPTS, "", APPEARANCE.key)
    if row is not None and row.people:
        return APPEARANCE, APPEARANCE_ALL
    return AGREEMENT, AGREEMENT_ALL


def _as_useful(measured: Measures) -> Iterator[Check]:
    """No undefended model that stopped early, or was turned down, is as useful and linked as little.

    One that is not shown to resemble less leaves it open; only one shown to resemble as much can fail it.
    """
    seen, _ = _resemblance(measured, HIGH)
    demand = (
        f"no undefended model, of fewer steps or turned down, shows as much of the person as rho = {HIGH} "
        f"({seen.key}) and has as low an ISM"
    )
    known, found = False, list[tuple[bool | None, str]]()
    for arm, which in _cheaper(measured.summary.arms):
        useful = measured.difference(arm, HIGH, seen)
        lower = measured.difference(HIGH, arm, ISM)
        if useful is None or lower is None:
            continue
        known = True
        if below(useful, 0.0):
            continue
        verdict = below(lower, 0.0)
        if verdict is False and useful.low < 0:
            verdict = None
        text = (
            f"{which} its {seen.key} is {useful.signed(2)} and the defence's ISM {lower.signed(2)} beside it"
        )
        found.append((verdict, text))
    if not known:
        yield Check(demand, UNMEASURED, None)
        return
    whole = every([verdict for verdict, _ in found])
    said = [text for verdict, text in found if verdict is whole]
    yield Check(demand, said[0] if said else "all of them show less", whole)


def _cheaper(arms: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Those of the arms that are cheaper than a defence, each kind from the weakest, and which in words."""
    for start, words in CHEAPER.items():
        numbers = (arm.removeprefix(start) for arm in arms if arm.startswith(start))
        for number in sorted(numbers, key=float):
            yield f"{start}{number}", words.format(number)


SHAPES: Mapping[str, Callable[[Measures], Iterator[Check]]] = {
    "table1": _defence_and_rivals,
    "guidance": _sharper,
    "controls": _gate,
    "early": _as_useful,
}
"""Tables by name -> what must hold of each."""

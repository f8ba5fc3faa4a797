"""What must hold of a whole table: said below it, item by item."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from visard.benchmark.ablations import GUIDANCE
from visard.benchmark.acceptance import HIGH, LOW, MEDIUM, UNMEASURED, Check, keeps_faces, rises
from visard.benchmark.arms import ATTRIBUTES, early_stop
from visard.benchmark.measures import Measures
from visard.benchmark.paper import RIVALS, WITHOUT_AIM
from visard.benchmark.protocol import AT, NONE
from visard.benchmark.summary import ALL_PROMPTS, Interval
from visard.benchmark.table import AGREEMENT, FID, FSR, ISM, Table

EARLY = "early-"
PHOTOS = "agreement_of_photos"
"""The ceiling of agreement: a person's photos with one another."""


def remarks(table: Table, measured: Measures) -> list[Check]:
    """The items of a table that has some."""
    items = SHAPES.get(table.name)
    return [] if items is None else list(items(measured))


def _defence_and_rivals(measured: Measures) -> Iterator[Check]:
    """Table 1: the dial keeps faces and is a dial; rivals pay for what they lower."""
    summary = measured.summary
    for arm in (HIGH, MEDIUM, LOW):
        yield keeps_faces(summary, arm)
    yield rises(summary)
    for _, arm in RIVALS:
        yield _pays(measured, arm)


def _sharper(measured: Measures) -> Iterator[Check]:
    """The guidance of the papers: rivals pay for what they lower there, too."""
    for _, arm in RIVALS:
        yield _pays(measured, arm, f"{AT}{GUIDANCE:g}")


def _pays(measured: Measures, rival: str, drawn: str = "") -> Check:
    """A rival lowers similarity only with fewer faces or a worse FID than the defence at its strongest.

    All by intervals of differences over the same people: what they leave open is not decided. drawn: what
    follows the names of all arms.
    """
    arm, undefended, defended = (f"{each}{drawn}" for each in (rival, NONE, HIGH))
    demand = f"{arm} lowers ISM only with a lower FSR or a worse FID than rho = {defended}"
    lowered = measured.difference(arm, undefended, ISM)
    if lowered is None:
        return Check(demand, UNMEASURED, None)
    found = f"ISM {_signed(lowered, 2)}"
    for title, plain in WITHOUT_AIM:
        if (aimed := measured.difference(arm, f"{plain}{drawn}", ISM)) is not None:
            found += f", beside “{title}” {_signed(aimed, 2)}"
    if not lowered.high < 0:
        return Check(demand, f"{found}: not shown to lower it", True)
    faces, quality = (measured.difference(arm, defended, figure) for figure in (FSR, FID))
    if faces is None or quality is None:
        return Check(demand, f"{found}, FSR or FID not measured", None)
    found += f"; FSR {_signed(faces, 2)} and FID {_signed(quality, 1)} against rho = {defended}"
    if faces.high < 0 or quality.low > 0:
        return Check(demand, found, True)
    if faces.low >= 0 and quality.high <= 0:
        return Check(demand, found, False)
    return Check(demand, f"{found}: the intervals do not tell", None)


def _signed(interval: Interval, digits: int) -> str:
    value, low, high = (f"{each:+.{digits}f}" for each in (interval.value, interval.low, interval.high))
    return f"{value} [{low}, {high}]"


def _gate(measured: Measures) -> Iterator[Check]:
    """More of the person than words alone give, and less linked than no defence (evaluation.md)."""
    for arm in (HIGH, MEDIUM, LOW):
        demand = f"rho = {arm}: attributes agree more often than with attributes only, and ISM is below none"
        lift, lowered = measured.difference(arm, ATTRIBUTES, AGREEMENT), measured.difference(arm, NONE, ISM)
        if lift is None or lowered is None:
            yield Check(demand, UNMEASURED, None)
            continue
        found = f"agreement {_signed(lift, 2)}, ISM {_signed(lowered, 2)}"
        photos, words = (
            measured.summary.find(each, ALL_PROMPTS, "", figure)
            for each, figure in ((arm, PHOTOS), (ATTRIBUTES, AGREEMENT.key))
        )
        if photos is not None and words is not None and photos.mean.value <= words.mean.value:
            found += (
                f"; not even real photos agree more often, {photos.mean.value:.2f} with one another against "
                f"{words.mean.value:.2f}: this measure does not tell"
            )
            yield Check(demand, found, None)
            continue
        yield Check(demand, found, lift.low > 0 and lowered.high < 0)


def _as_useful(measured: Measures) -> Iterator[Check]:
    """The early-stopped model that a fair comparison takes: as useful as the defended one."""
    summary = measured.summary
    useful = {arm: summary.find(arm, ALL_PROMPTS, "", AGREEMENT.key) for arm in summary.arms}
    reached = {arm: row.mean.value for arm, row in useful.items() if row is not None and row.people}
    steps = {int(arm.removeprefix(EARLY)): value for arm, value in reached.items() if arm.startswith(EARLY)}
    demand = f"stopped where its attributes agree as those of rho = {HIGH} do, no defence has a higher ISM"
    if HIGH not in reached or not steps:
        yield Check(demand, UNMEASURED, None)
        return
    chosen = early_stop(steps, reached[HIGH])
    early, defended = (
        summary.find(arm, ALL_PROMPTS, summary.member(*ISM.of), ISM.key) for arm in (f"{EARLY}{chosen}", HIGH)
    )
    if early is None or defended is None:
        yield Check(demand, f"{chosen}", None)
        return
    found = (
        f"after {chosen} steps (agreement {steps[chosen]:.2f} of {reached[HIGH]:.2f}): "
        f"ISM {early.mean.value:.2f}, with the defence {defended.mean.value:.2f}"
    )
    yield Check(demand, found, defended.mean.value < early.mean.value)


SHAPES: Mapping[str, Callable[[Measures], Iterator[Check]]] = {
    "table1": _defence_and_rivals,
    "guidance": _sharper,
    "controls": _gate,
    "early": _as_useful,
}
"""Tables by name -> what must hold of each."""

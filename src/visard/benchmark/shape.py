"""What must hold of a whole table: said below it, item by item."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from visard.benchmark.acceptance import HIGH, ISM, LOW, MEDIUM, SIMILARITY, Check, keeps_faces, rises
from visard.benchmark.arms import early_stop
from visard.benchmark.measures import Measures
from visard.benchmark.paper import NOISE
from visard.benchmark.summary import AGREEMENT, ALL_PROMPTS, FSR
from visard.benchmark.table import FID, Column, Table

RIVALS = ("anti-dreambooth", "simac", "anti-diffusion")
EARLY = "early-"


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
    for arm in RIVALS:
        yield _pays(measured, arm)


def _pays(measured: Measures, arm: str) -> Check:
    """A rival lowers similarity only with fewer faces or a worse FID than the defence at its strongest.

    Its victim has half of the photos; what that alone costs is said by noise without aim, which has the same.
    """
    summary = measured.summary
    demand = f"{arm} lowers ISM only with a lower FSR or a worse FID than rho = {HIGH}"
    similarity = summary.find(arm, ALL_PROMPTS, summary.member(ISM), SIMILARITY)
    mine, theirs = (summary.find(each, ALL_PROMPTS, "", FSR) for each in (arm, HIGH))
    if similarity is None or similarity.change is None or mine is None or theirs is None:
        return Check(demand, "not measured", None)
    change = f"ISM {similarity.change.value:+.0%}"
    if not similarity.change.value < 0:
        return Check(demand, change, True)
    faces = f"FSR {mine.mean.value:.3f} against {theirs.mean.value:.3f}"
    mine_fid, theirs_fid, noise_fid = (_fid(measured, each) for each in (arm, HIGH, NOISE[1]))
    if math.isnan(mine_fid) or math.isnan(theirs_fid):
        return Check(demand, f"{change}, {faces}, FID not measured", None)
    worse = mine.mean.value < theirs.mean.value or mine_fid > theirs_fid
    quality = f"FID {mine_fid:.1f} against {theirs_fid:.1f}"
    if not math.isnan(noise_fid):
        quality += f" (noise without aim: {noise_fid:.1f})"
    return Check(demand, f"{change}, {faces}, {quality}", worse)


def _fid(measured: Measures, arm: str) -> float:
    """Mean over the prompts, NaN where one has none."""
    prompts = [prompt for prompt in measured.summary.prompts if prompt != ALL_PROMPTS]
    cells = [measured.cell(arm, Column("FID", (FID,), prompt)) for prompt in prompts]
    return sum(math.nan if cell is None else cell.value for cell in cells) / len(cells)


def _as_useful(measured: Measures) -> Iterator[Check]:
    """The early-stopped model that a fair comparison takes: as useful as the defended one."""
    summary = measured.summary
    useful = {arm: summary.find(arm, ALL_PROMPTS, "", AGREEMENT) for arm in summary.arms}
    reached = {arm: row.mean.value for arm, row in useful.items() if row is not None and row.people}
    steps = {int(arm.removeprefix(EARLY)): value for arm, value in reached.items() if arm.startswith(EARLY)}
    demand = f"stopped where its attributes agree as those of rho = {HIGH} do, no defence has a higher ISM"
    if HIGH not in reached or not steps:
        yield Check(demand, "not measured", None)
        return
    chosen = early_stop(steps, reached[HIGH])
    early, defended = (
        summary.find(arm, ALL_PROMPTS, summary.member(ISM), SIMILARITY) for arm in (f"{EARLY}{chosen}", HIGH)
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
    "early": _as_useful,
}
"""Tables by name -> what must hold of each."""

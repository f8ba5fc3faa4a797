"""The audit as one HTML page that needs nothing else.

Style, plots and pictures are inside, and no network is touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from visard.audit.claim import TIER_MEANING
from visard.audit.inputs import Person
from visard.audit.plots import Line, Point, det_plot, histogram_plot, tier_plot, trade_off_plot
from visard.audit.report_format import FILTERS
from visard.audit.report_pictures import sheets
from visard.audit.result import ArmResult, AuditResult, JudgeFigures
from visard.metrics import METRICS
from visard.metrics.bootstrap import Estimate
from visard.metrics.naturalness import NAME as NATURALNESS

STYLES = ("arm-1", "arm-2", "arm-3", "arm-4", "arm-5")


def render_report(
    result: AuditResult,
    people: Sequence[Person] = (),
    *,
    title: str = "Linkability audit",
    pictures: int = 6,
    licences: Mapping[str, str] | None = None,
) -> str:
    """HTML of an audit; give the audited `people` to show up to `pictures` pictures an arm and person.

    Pictures are re-encoded from pixels and carry no metadata; without `people` the report holds figures
    alone. licences: model -> licence, as a kit knows them.
    """
    environment = Environment(
        loader=PackageLoader("visard.audit", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    styles = _styles(result)
    prompts = list(dict.fromkeys(arm.prompt for arm in result.arms))
    return environment.get_template("report.html.j2").render(
        result=result,
        title=title,
        tier_meaning=TIER_MEANING,
        styles=styles,
        sheets=sheets(result, people, styles, pictures),
        groups=[(prompt, [arm for arm in result.arms if arm.prompt == prompt]) for prompt in prompts],
        figures=_of,
        shown_judge=result.judges[0].name,
        judges=[
            (card, Markup(_det(result, index, styles)), _histograms(result, index, styles))
            for index, card in enumerate(result.judges)
        ],
        tiers=list(dict.fromkeys(row.tier for row in sorted(result.tiers, key=lambda row: row.tier))),
        tier_arms=list(dict.fromkeys((row.arm, row.prompt) for row in result.tiers)),
        tier_plot=_tiers(result, styles),
        trade_offs=[
            (prompt, Markup(plot)) for prompt in prompts if (plot := _trade_off(result, prompt, styles))
        ],
        attributes=list(dict.fromkeys(name for arm in result.arms for name in arm.resemblance.attributes)),
        correlations=list(
            dict.fromkeys(name for arm in result.arms for name in arm.resemblance.correlations)
        ),
        naturalness=NATURALNESS,
        notes=list(
            dict.fromkeys(
                arm.quality.frechet.note
                for arm in result.arms
                if arm.quality.frechet is not None and arm.quality.frechet.note
            )
        ),
        metrics=METRICS,
        licences=dict(licences or {}),
        arrow={name: {"lower": "↓", "higher": "↑"}.get(row.better, "") for name, row in METRICS.items()},
    )


def _styles(result: AuditResult) -> dict[str, str]:
    """The undefended arm is always the warm colour; the others take theirs in order."""
    names = list(dict.fromkeys([*(arm.arm for arm in result.arms), *(row.arm for row in result.tiers)]))
    others = [name for name in names if name != result.settings.undefended]
    styles = {name: STYLES[1 + index % (len(STYLES) - 1)] for index, name in enumerate(others)}
    styles[result.settings.undefended] = STYLES[0]
    return {name: styles[name] for name in names}


def _of(arm: ArmResult, judge: str) -> JudgeFigures:
    return next(figures for figures in arm.judges if figures.judge == judge)


def _det(result: AuditResult, index: int, styles: Mapping[str, str]) -> str:
    card = result.judges[index]
    lines = [Line("real photos", card.real_det, "real")]
    prompts = list(dict.fromkeys(arm.prompt for arm in result.arms))
    for arm in result.arms:
        dash = f"{styles[arm.arm]} prompt-{min(prompts.index(arm.prompt), 2)}"
        lines.append(Line(arm.key, arm.judges[index].det, dash))
    names = ", ".join(line.label for line in lines)
    return det_plot(lines, f"Detection error trade-off of {card.name} for {names}; figures are in the table")


def _histograms(
    result: AuditResult, index: int, styles: Mapping[str, str]
) -> list[tuple[ArmResult, str, Markup]]:
    card = result.judges[index]
    every = [arm.judges[index].histogram for arm in result.arms]
    edges = [edge for histogram in every for edge in histogram.edges] or [0.0, 1.0]
    low, high = min(edges), max(*edges, card.search_threshold + 0.05)
    plots = []
    for arm, histogram in zip(result.arms, every, strict=True):
        title = f"Similarities of {arm.key} to the person and to strangers, by {card.name}"
        style = styles[arm.arm]
        plot = Markup(histogram_plot(histogram, style, low, high, card.search_threshold, title))
        plots.append((arm, style, plot))
    return plots


def _trade_off(result: AuditResult, prompt: str, styles: Mapping[str, str]) -> str:
    """Nothing where fewer than two arms have both figures."""
    arms = [arm for arm in result.arms if arm.prompt == prompt and arm.faces.faces]
    described = all(arm.resemblance.appearance is not None for arm in arms)
    points = [
        Point(arm.arm, styles[arm.arm], arm.strongest.linked, seen)
        for arm in arms
        if (seen := _seen(arm, described)) is not None
    ]
    if len(points) < 2:
        return ""
    names = ", ".join(point.label for point in points)
    title = f"Resemblance against linkage of {names}; figures are in the table"
    measure = {"measure": "described alike, × 100"} if described else {}
    return trade_off_plot(points, title, **measure)


def _seen(arm: ArmResult, described: bool) -> Estimate | None:
    """How much of the person an arm shows, by the finer measure or by attributes."""
    appearance = arm.resemblance.appearance
    return arm.resemblance.agreement if not described or appearance is None else appearance.pictures


def _tiers(result: AuditResult, styles: Mapping[str, str]) -> Markup:
    tiers = sorted({row.tier for row in result.tiers})
    rows = [
        (
            Point("/".join(part for part in (row.arm, row.prompt) if part), styles[row.arm], row.linked),
            tiers.index(row.tier),
        )
        for row in result.tiers
    ]
    title = "Linked share at each attack tier; figures are in the table"
    return Markup(tier_plot(tiers, rows, title)) if rows else Markup()

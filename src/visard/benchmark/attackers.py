"""Arms against attack tiers as a table: how many people each attacker links."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from visard.attacks.result import LEARNED, MEANING, AttackTier
from visard.audit.flags import TIER_ORDER, tier_flags
from visard.benchmark.layout import escaped
from visard.benchmark.tables import NOTHING
from visard.metrics.bootstrap import Estimate
from visard.storage import atomic_write

NAME = "attackers"
COLUMNS = (
    *("arm", "tier", "linked", "low", "high", "ever", "at_rate", "first", "false_positives"),
    *("people", "gallery", "dev", "train", "k", "fpir", "attack"),
)
Found = Mapping[str, Sequence[AttackTier]]
"""Arm -> a result for each tier."""


def write(found: Found, folder: Path) -> list[Path]:
    """Write attackers.md, .csv and .tex; returns them. Raises StorageError."""
    texts = {".md": markdown, ".csv": as_csv, ".tex": latex}
    for suffix, text in texts.items():
        atomic_write(folder / f"{NAME}{suffix}", text(found).encode())
    return [folder / f"{NAME}{suffix}" for suffix in texts]


def markdown(found: Found) -> str:
    """One row an arm, one column a tier; what each tier is, and every caution."""
    tiers = _tiers(found)
    lines = [
        "## attackers: share of searches that link, mean over people [95 % interval]",
        "",
        _setting(found),
        "",
    ]
    if not found:
        return "\n".join(lines)
    lines += _table(found, _linked)
    if LEARNED in tiers:
        lines += ["", f"**The headline is {LEARNED}**, an attacker who knows the tool:", ""]
        lines += [f"- {arm}: {each.claim}{_fewer(each)}" for arm, each in _of_tier(found, LEARNED)]
    lines += ["", *(f"- {tier}: {MEANING[tier]}" for tier in tiers)]
    lines += _by_pictures(found)
    for title, figure in BELOW.items():
        lines += ["", f"{title}:", "", *_table(found, figure)]
    lines.append("")
    lines += _cautions(found)
    return "\n".join(lines) + "\n"


def as_csv(found: Found) -> str:
    """One line an arm and tier, with the attack that was chosen."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for arm, results in found.items():
        for each in results:
            shares = [each.linked.value, each.linked.low, each.linked.high, each.ever.value]
            shares += [_value(each.at_rate), each.first.value, _value(each.false_positives)]
            figures = [NOTHING if math.isnan(value) else f"{value:.6g}" for value in shares]
            counts = (each.people, each.gallery, each.dev, each.train, each.k)
            writer.writerow([arm, each.tier, *figures, *counts, f"{each.fpir:.6g}", each.attack])
    return text.getvalue()


def latex(found: Found) -> str:
    """A booktabs table."""
    tiers = _tiers(found)
    body = [" & ".join(map(escaped, [arm, *_cells(found, arm, _linked)])) + r" \\" for arm in found]
    return "\n".join(
        [
            "% Needs \\usepackage{booktabs}.",
            r"\begin{table}",
            rf"\caption{{Share of searches that link, mean over people. {escaped(_setting(found))}}}",
            rf"\begin{{tabular}}{{l{'r' * len(tiers)}}}",
            r"\toprule",
            " & ".join(["arm", *tiers]) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _value(share: Estimate | None) -> float:
    return math.nan if share is None else share.value


def _cautions(found: Found) -> list[str]:
    """Each said once, with the arms and tiers it concerns; then tiers that link less than weaker ones."""
    concerned: dict[str, list[str]] = {}
    for arm, results in found.items():
        for each in results:
            for caution in each.cautions:
                concerned.setdefault(caution, []).append(f"{arm} at {each.tier}")
    count = sum(map(len, found.values()))
    lines = [
        f"- Caution, {'everywhere' if len(where) == count > 1 else ', '.join(where)}: {caution}"
        for caution, where in concerned.items()
    ]
    for arm, results in found.items():
        flags = (flag for flag in tier_flags(results) if flag.code == TIER_ORDER)
        lines += [f"- Caution, {arm}: {flag.message}" for flag in flags]
    return lines


def _table(found: Found, figure: Callable[[AttackTier], Estimate | None]) -> list[str]:
    tiers = _tiers(found)
    return [
        f"| arm | {' | '.join(tiers)} |",
        f"|{'---|' * (len(tiers) + 1)}",
        *(f"| {arm} | {' | '.join(_cells(found, arm, figure))} |" for arm in found),
    ]


def _by_pictures(found: Found) -> list[str]:
    """How much is linked by how many pictures in a search, with what was learned from people and without."""
    rows = [(arm, each) for arm, results in found.items() for each in results if each.together]
    sizes = sorted({part.k for _, each in rows for part in each.together})
    if not sizes:
        return []
    lines = ["", "By the number of pictures in a search:", ""]
    lines += [f"| arm | tier | {' | '.join(map(str, sizes))} |", f"|{'---|' * (len(sizes) + 2)}"]
    for arm, each in rows:
        shares = {part.k: part.linked for part in each.together}
        cells = [_cell(shares.get(size)) for size in sizes]
        lines.append(f"| {arm} | {each.tier} | {' | '.join(cells)} |")
    return lines


def _fewer(each: AttackTier) -> str:
    """What it links where it learned from fewer people."""
    parts = [f"from {part.people} people's {part.linked.value:.0%}" for part in each.learned_from]
    return f" What is chosen when it learns {', '.join(parts)}." if parts else ""


def _tiers(found: Found) -> list[str]:
    return list(dict.fromkeys(each.tier for results in found.values() for each in results))


def _linked(each: AttackTier) -> Estimate | None:
    """Share of searches that link."""
    return each.linked


def _first(each: AttackTier) -> Estimate | None:
    """Share of people named first, whatever the score."""
    return each.first


def _false_positives(each: AttackTier) -> Estimate | None:
    """Share of searches for people who are not enrolled that name somebody."""
    return each.false_positives


def _ever(each: AttackTier) -> Estimate | None:
    """Share of people linked by at least one of their searches."""
    return each.ever


def _at_rate(each: AttackTier) -> Estimate | None:
    """What is linked where the false-positive rate holds on these very people."""
    return each.at_rate


BELOW: Mapping[str, Callable[[AttackTier], Estimate | None]] = {
    "Searches that name somebody while the person is not enrolled": _false_positives,
    "Linked, were the threshold set on these very people, so that the rate holds for all tiers": _at_rate,
    "People linked by at least one of their searches": _ever,
    "Named first, whatever the score": _first,
}
"""Tables below the first, by their titles."""


def _of_tier(found: Found, tier: str) -> Iterator[tuple[str, AttackTier]]:
    for arm, results in found.items():
        yield from ((arm, each) for each in results if each.tier == tier)


def _cells(found: Found, arm: str, figure: Callable[[AttackTier], Estimate | None]) -> list[str]:
    of_tier = {each.tier: figure(each) for each in found[arm]}
    return [_cell(of_tier.get(tier)) for tier in _tiers(found)]


def _cell(share: Estimate | None) -> str:
    return NOTHING if share is None else f"{share.value:.2f} [{share.low:.2f}, {share.high:.2f}]"


def _setting(found: Found) -> str:
    """Of the first result: all arms are attacked in the same way."""
    each = next((result for results in found.values() for result in results), None)
    if each is None:
        return "No attack is finished."
    learned = max(result.train for results in found.values() for result in results)
    models = f"; from {LEARNED} on it learned from {learned} others" if learned else ""
    return (
        f"{each.people} people, a gallery of {each.gallery}, a false-positive rate of {each.fpir:.2g}. The "
        f"attacker made all choices and set all thresholds on {each.dev} other people{models}."
    )

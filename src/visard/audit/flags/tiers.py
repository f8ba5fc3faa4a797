"""What is to be distrusted in attacks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from visard.audit.result import Flag, TierResult

TIER_ORDER = "tier-order"


def tier_flags(tiers: Sequence[TierResult]) -> Iterator[Flag]:
    """What is to be distrusted in the attacks: what each says of itself, and one that links less than before.

    A stronger attack that links less than the interval of any weaker one leaves open does not work.
    """
    by_arm = sorted(tiers, key=lambda row: (row.arm, row.prompt, row.tier))
    for (arm, prompt), rows in groupby(by_arm, key=lambda row: (row.arm, row.prompt)):
        where, weaker = "/".join(part for part in (arm, prompt) if part), None
        for row in rows:
            for caution in row.cautions:
                yield Flag(
                    "tier-caution",
                    "An attack distrusts itself",
                    f"{row.tier}: {caution}",
                    where,
                    "Give the attack more people, and read its figure as this says.",
                )
            if math.isnan(row.linked.value):
                continue
            if weaker is not None and row.linked.value < weaker.linked.low:
                yield Flag(
                    TIER_ORDER,
                    "A stronger attack links less",
                    f"{row.tier} links {row.linked.value:.0%} where {weaker.tier}, which it "
                    f"includes, links {weaker.linked.value:.0%}.",
                    where,
                    "Believe the weaker attack's figure, and give the stronger one more data or better "
                    "settings.",
                )
            if weaker is None or row.linked.low > weaker.linked.low:
                weaker = row

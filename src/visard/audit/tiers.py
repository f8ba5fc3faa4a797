"""Adding what stronger attacks found to an audit: its claims and flags then speak of them too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from visard.audit.claim import tier_claims
from visard.audit.flags import tier_flags
from visard.audit.result import AuditResult, TierResult


def with_tiers(result: AuditResult, tiers: Sequence[TierResult]) -> AuditResult:
    """The audit with rows of attack tiers; the claims of the strongest come first."""
    return replace(
        result,
        claims=[*tier_claims(tiers, result.settings), *result.claims],
        flags=[*result.flags, *tier_flags(tiers)],
        tiers=[*result.tiers, *tiers],
    )

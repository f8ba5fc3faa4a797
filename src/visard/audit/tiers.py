"""Adding what stronger attacks found to an audit: its claims and flags then speak of them too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from visard.audit.claim import tier_claims
from visard.audit.flags import tier_flags
from visard.audit.gate import under_attack
from visard.audit.result import AuditResult, TierResult


def with_tiers(result: AuditResult, tiers: Sequence[TierResult]) -> AuditResult:
    """The audit with rows of attack tiers: the claims of the strongest come first, and verdicts heed them."""
    return replace(
        result,
        claims=[*tier_claims(tiers, result.settings), *result.claims],
        flags=[*result.flags, *tier_flags(tiers)],
        verdicts=[under_attack(each, tiers, result.settings.undefended) for each in result.verdicts],
        tiers=[*result.tiers, *tiers],
    )

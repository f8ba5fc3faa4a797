"""Audit.

How many pictures does face recognition link to the person, and how far is that answer to be trusted?
"""

from visard.audit.audit import audit, audit_people
from visard.audit.inputs import AuditSettings, Instruments, ModelId, Person, Strangers
from visard.audit.report import render_report
from visard.audit.result import AuditResult, Flag, TierResult
from visard.audit.tiers import with_tiers

__all__ = [
    "AuditResult",
    "AuditSettings",
    "Flag",
    "Instruments",
    "ModelId",
    "Person",
    "Strangers",
    "TierResult",
    "audit",
    "audit_people",
    "render_report",
    "with_tiers",
]

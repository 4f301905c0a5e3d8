"""Lipschitz constants of whole networks."""

from deel_seg.lipschitz.audit_rounding import LogitRounding
from deel_seg.lipschitz.audit_table import Audit, AuditRow
from deel_seg.lipschitz.certified_bound import certified_lipschitz_constant
from deel_seg.lipschitz.estimated_bound import estimate_lipschitz_constant
from deel_seg.lipschitz.graph_bound import lipschitz_bound
from deel_seg.lipschitz.graph_walk import UnknownLipschitzBound
from deel_seg.lipschitz.layer_audit import audit
from deel_seg.lipschitz.logit_error import estimate_logit_error
from deel_seg.lipschitz.rounding_bound import UnknownRoundingBound, logit_error_bound

__all__ = [
    "Audit",
    "AuditRow",
    "LogitRounding",
    "UnknownLipschitzBound",
    "UnknownRoundingBound",
    "audit",
    "certified_lipschitz_constant",
    "estimate_lipschitz_constant",
    "estimate_logit_error",
    "lipschitz_bound",
    "logit_error_bound",
]

"""Lipschitz constants of whole networks."""

from deel_seg.lipschitz.audit_table import Audit, AuditRow
from deel_seg.lipschitz.certified_bound import certified_lipschitz_constant
from deel_seg.lipschitz.estimated_bound import estimate_lipschitz_constant
from deel_seg.lipschitz.graph_bound import lipschitz_bound
from deel_seg.lipschitz.graph_nodes import functional_graph
from deel_seg.lipschitz.graph_walk import UnknownLipschitzBound
from deel_seg.lipschitz.layer_audit import audit

__all__ = [
    "Audit",
    "AuditRow",
    "UnknownLipschitzBound",
    "audit",
    "certified_lipschitz_constant",
    "estimate_lipschitz_constant",
    "functional_graph",
    "lipschitz_bound",
]

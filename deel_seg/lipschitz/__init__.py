"""Lipschitz constants of whole networks."""

from deel_seg.lipschitz.graph_bound import UnknownLipschitzBound, lipschitz_bound

__all__ = ["UnknownLipschitzBound", "lipschitz_bound"]

"""Randomized smoothing: the baseline that certificates of Lipschitz networks are compared with."""

from deel_seg.smoothing.binomial_test import (
    fewest_samples,
    lower_bounds,
    p_values,
    probability_for,
    radius_for,
)
from deel_seg.smoothing.multiple_testing import least_count
from deel_seg.smoothing.sampling import Counts
from deel_seg.smoothing.segcertify import SegCertify
from deel_seg.smoothing.smoothed_certificate import SmoothedCertificate

__all__ = [
    "Counts",
    "SegCertify",
    "SmoothedCertificate",
    "fewest_samples",
    "least_count",
    "lower_bounds",
    "p_values",
    "probability_for",
    "radius_for",
]

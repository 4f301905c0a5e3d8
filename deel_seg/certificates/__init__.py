"""Robustness certificates for semantic segmentation: compiled functions and Keras metrics."""

from deel_seg.certificates.false_negative_rate import fnr_radius, worst_case_fnr, worst_case_recall
from deel_seg.certificates.metrics import (
    CRPA,
    CRS,
    CertifiedMetric,
    PixelAccuracy,
    StabilityRadius,
)
from deel_seg.certificates.pixel_accuracy import pixel_accuracy_radius, worst_case_pixel_accuracy
from deel_seg.certificates.pixel_radius import pixel_radius
from deel_seg.certificates.stability import stability_radius, worst_case_stability

__all__ = [
    "CRPA",
    "CRS",
    "CertifiedMetric",
    "PixelAccuracy",
    "StabilityRadius",
    "fnr_radius",
    "pixel_accuracy_radius",
    "pixel_radius",
    "stability_radius",
    "worst_case_fnr",
    "worst_case_pixel_accuracy",
    "worst_case_recall",
    "worst_case_stability",
]

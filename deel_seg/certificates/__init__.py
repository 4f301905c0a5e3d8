"""Robustness certificates for semantic segmentation: compiled functions and Keras metrics."""

from deel_seg.certificates import confusion_metrics
from deel_seg.certificates.callbacks import CertificateCurve, CertifiedCheckpoint
from deel_seg.certificates.confusion import confusion_metric_radius, worst_case_confusion_metric
from deel_seg.certificates.exact_metric import ExactMetric
from deel_seg.certificates.false_negative_rate import fnr_radius, worst_case_fnr, worst_case_recall
from deel_seg.certificates.metric_check import check_confusion_metric
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
    "CertificateCurve",
    "CertifiedCheckpoint",
    "CertifiedMetric",
    "ExactMetric",
    "PixelAccuracy",
    "StabilityRadius",
    "check_confusion_metric",
    "confusion_metric_radius",
    "confusion_metrics",
    "fnr_radius",
    "pixel_accuracy_radius",
    "pixel_radius",
    "stability_radius",
    "worst_case_confusion_metric",
    "worst_case_fnr",
    "worst_case_pixel_accuracy",
    "worst_case_recall",
    "worst_case_stability",
]

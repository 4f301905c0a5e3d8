"""Robustness certificates for semantic segmentation: compiled functions and Keras metrics."""

from deel_seg.certificates import confusion_metrics
from deel_seg.certificates.callbacks import (
    CertificateCurve,
    CertifiedCheckpoint,
    LipschitzMonitor,
)
from deel_seg.certificates.certified_iou_curve import CertifiedIoUCurve, IoUCurve
from deel_seg.certificates.class_iou import class_iou_radius, worst_case_class_iou
from deel_seg.certificates.class_ious import worst_case_class_ious
from deel_seg.certificates.confusion import confusion_metric_radius, worst_case_confusion_metric
from deel_seg.certificates.connected_regions import connected_regions
from deel_seg.certificates.exact_metric import ExactMetric
from deel_seg.certificates.fabrication import fabrication_radius, worst_case_fabrication
from deel_seg.certificates.false_negative_rate import fnr_radius, worst_case_fnr, worst_case_recall
from deel_seg.certificates.hierarchy import certify_hierarchy
from deel_seg.certificates.metric_check import check_confusion_metric
from deel_seg.certificates.metrics import (
    CRPA,
    CRS,
    CertifiedFNR,
    CertifiedIoU,
    CertifiedMeanIoU,
    CertifiedMetric,
    FNRRadius,
    ImageCertificate,
    PixelAccuracy,
    StabilityRadius,
)
from deel_seg.certificates.pixel_accuracy import pixel_accuracy_radius, worst_case_pixel_accuracy
from deel_seg.certificates.pixel_radius import pixel_radius
from deel_seg.certificates.region_stability import RegionShares, worst_case_region_stability
from deel_seg.certificates.regions import (
    Region,
    RegionRadii,
    list_regions,
    region_radius,
)
from deel_seg.certificates.stability import stability_radius, worst_case_stability
from deel_seg.certificates.vanishing import vanishing_radius, worst_case_vanishing
from deel_seg.certificates.worst_case_segmentation import worst_case_segmentation

__all__ = [
    "CRPA",
    "CRS",
    "CertificateCurve",
    "CertifiedCheckpoint",
    "CertifiedFNR",
    "CertifiedIoU",
    "CertifiedIoUCurve",
    "CertifiedMeanIoU",
    "CertifiedMetric",
    "ExactMetric",
    "FNRRadius",
    "ImageCertificate",
    "IoUCurve",
    "LipschitzMonitor",
    "PixelAccuracy",
    "Region",
    "RegionRadii",
    "RegionShares",
    "StabilityRadius",
    "certify_hierarchy",
    "check_confusion_metric",
    "class_iou_radius",
    "confusion_metric_radius",
    "confusion_metrics",
    "connected_regions",
    "fabrication_radius",
    "fnr_radius",
    "list_regions",
    "pixel_accuracy_radius",
    "pixel_radius",
    "region_radius",
    "stability_radius",
    "vanishing_radius",
    "worst_case_class_iou",
    "worst_case_class_ious",
    "worst_case_confusion_metric",
    "worst_case_fabrication",
    "worst_case_fnr",
    "worst_case_pixel_accuracy",
    "worst_case_recall",
    "worst_case_region_stability",
    "worst_case_segmentation",
    "worst_case_stability",
    "worst_case_vanishing",
]

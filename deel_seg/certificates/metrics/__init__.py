"""Keras metrics over the certificates, usable in `compile`, `fit` and `evaluate`."""

from deel_seg.certificates.metrics.certified_fnr import CertifiedFNR
from deel_seg.certificates.metrics.certified_iou import CertifiedIoU
from deel_seg.certificates.metrics.certified_mean_iou import CertifiedMeanIoU
from deel_seg.certificates.metrics.certified_metric import CertifiedMetric
from deel_seg.certificates.metrics.crpa import CRPA
from deel_seg.certificates.metrics.crs import CRS
from deel_seg.certificates.metrics.fnr_radius_metric import FNRRadius
from deel_seg.certificates.metrics.image_certificate import ImageCertificate
from deel_seg.certificates.metrics.pixel_accuracy import PixelAccuracy
from deel_seg.certificates.metrics.stability_radius import StabilityRadius

__all__ = [
    "CRPA",
    "CRS",
    "CertifiedFNR",
    "CertifiedIoU",
    "CertifiedMeanIoU",
    "CertifiedMetric",
    "FNRRadius",
    "ImageCertificate",
    "PixelAccuracy",
    "StabilityRadius",
]

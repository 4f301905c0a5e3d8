"""Keras callbacks over the certificates, for `model.fit`."""

from deel_seg.certificates.callbacks.certificate_curve import CertificateCurve
from deel_seg.certificates.callbacks.certified_checkpoint import CertifiedCheckpoint
from deel_seg.certificates.callbacks.lipschitz_monitor import LipschitzMonitor

__all__ = ["CertificateCurve", "CertifiedCheckpoint", "LipschitzMonitor"]

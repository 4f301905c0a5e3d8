"""Figures of certified segmentations; they need matplotlib, the extra `visualize`."""

from deel_seg.visualize.certified_figure import certified_figure
from deel_seg.visualize.worst_case import CertifiedSegmentation, certify_segmentation

__all__ = ["CertifiedSegmentation", "certified_figure", "certify_segmentation"]

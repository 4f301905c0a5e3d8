"""Figures of certified segmentations; they need matplotlib, the extra `visualize`."""

from deel_seg.visualize.certified_figure import certified_figure
from deel_seg.visualize.curves import certified_curve_figure, pareto_figure
from deel_seg.visualize.missed_figure import missed_figure
from deel_seg.visualize.region_figures import regions_figure, vanishing_figure
from deel_seg.visualize.worst_case import CertifiedSegmentation, certify_segmentation

__all__ = [
    "CertifiedSegmentation",
    "certified_curve_figure",
    "certified_figure",
    "certify_segmentation",
    "missed_figure",
    "pareto_figure",
    "regions_figure",
    "vanishing_figure",
]

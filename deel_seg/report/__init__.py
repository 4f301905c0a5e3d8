"""The certificates of a folder as one page to be read in a browser."""

from deel_seg.report.writing import write_report

__all__ = ["write_report"]

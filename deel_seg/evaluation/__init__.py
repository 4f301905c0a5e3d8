"""A model on a data set: its accuracy, its certificates, attacks and smoothing in one table."""

from deel_seg.evaluation.evaluate import evaluate
from deel_seg.evaluation.report import Evaluation

__all__ = ["Evaluation", "evaluate"]

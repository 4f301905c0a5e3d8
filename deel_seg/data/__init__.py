"""Segmentation data sets by name.

Importing this package and drawing `shapes` or `runway` need NumPy and Pillow only; `load` needs
TensorFlow for `tf.data`, whatever the backend of Keras.
"""

from deel_seg.data import runway, shapes
from deel_seg.data.augmentation import Augmentation
from deel_seg.data.dataset_info import VOID, DatasetInfo
from deel_seg.data.loading import load, steps_per_epoch
from deel_seg.data.registry import info

__all__ = [
    "VOID",
    "Augmentation",
    "DatasetInfo",
    "info",
    "load",
    "runway",
    "shapes",
    "steps_per_epoch",
]

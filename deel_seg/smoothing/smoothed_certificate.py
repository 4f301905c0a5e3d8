"""What randomized smoothing certifies of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from deel_seg._checks import received

ABSTAINS = -1


@dataclass(frozen=True)
class SmoothedCertificate:
    """Certified classes of images, for one radius.

    Attributes:
        classes: `(images, H, W)` int32: the class that the smoothed network keeps within `eps`, or
            -1 where that is not certified.
        eps: Radius, in l2.
        probability: What a class had to exceed.
        least_counts: `(images,)`, the least count that was certified.
        tolerated: How many of an image's certified classes may be wrong all the same.
    """

    classes: np.ndarray
    eps: float
    probability: float
    least_counts: np.ndarray
    tolerated: int = 0

    def accuracy(self, labels: Any, *, ignore_class: int | None = None) -> np.ndarray:
        """Share of the labelled pixels that are certified and right, `(images,)` float64 (Eq. 24).

        With probability `1 - alpha` a lower bound of the smoothed network's accuracy under any
        attack of `eps` on an image: as many pixels as may be certified wrongly are left out of it.
        NaN where no pixel is labelled.
        """
        labels = ops.convert_to_numpy(labels)
        if labels.shape != self.classes.shape:
            raise ValueError(
                f"`labels` must have the shape {self.classes.shape}. {received(shape=labels.shape)}"
            )
        kept = np.ones(labels.shape, bool) if ignore_class is None else labels != ignore_class
        right = (kept & (self.classes == labels)).sum((1, 2))
        right = np.maximum(right - self.tolerated, 0)
        counted = kept.sum((1, 2))
        return np.where(counted > 0, right / np.maximum(counted, 1), np.nan)

    @property
    def abstained(self) -> np.ndarray:
        """Share of all pixels that are not certified, `(images,)`."""
        return np.mean(self.classes == ABSTAINS, axis=(1, 2))

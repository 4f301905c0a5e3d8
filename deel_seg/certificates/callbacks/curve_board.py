"""What TensorBoard gets of a curve, each epoch."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deel_seg.certificates.callbacks.curve_logs import budget_name
from deel_seg.certificates.callbacks.curve_picture import curve_picture, has_matplotlib
from deel_seg.certificates.callbacks.radius_pictures import certified_picture, radius_picture
from deel_seg.certificates.callbacks.tensorboard import TensorBoardWriter


class CurveBoard:
    """Writes the values, the curve and maps of radii of each epoch into TensorBoard's files.

    Args:
        log_dir: Folder of the event files.
        prefix: What all names begin with.
        top: The radius that is shown brightest, `> 0`.
        eps: Budget of the pictures of certified pixels.
    """

    def __init__(
        self, log_dir: str | os.PathLike[str], *, prefix: str, top: float, eps: float
    ) -> None:
        self._writer = TensorBoardWriter(log_dir)
        self._prefix, self._top, self._eps = prefix, top, eps
        self._draws = has_matplotlib()
        if not self._draws:
            warnings.warn(
                "TensorBoard gets the certified values, and no picture of their curve: that needs "
                "matplotlib, pip install 'deel_seg[visualize]'.",
                stacklevel=3,
            )

    def write(
        self,
        epoch: int,
        values: Mapping[str, float],
        curve: dict[str, list[Any]],
        radii: Sequence[NDArray[np.float32]],
    ) -> None:
        """Writes an epoch, and brings it into the file: a run that is killed has it.

        Args:
            epoch: Counted from 0: the step that TensorBoard shows.
            values: By name in the logs.
            curve: By column.
            radii: Maps `(height, width)` of the first images.
        """
        self._writer.scalars(
            {name: _single(value, up=_is_upper(name)) for name, value in values.items()}, epoch
        )
        certified = f"{self._prefix}certified@{budget_name(self._eps)}"
        pictures = {
            f"{self._prefix}radius": [radius_picture(radius, self._top) for radius in radii],
            certified: [certified_picture(radius, self._eps) for radius in radii],
        }
        if self._draws:
            pictures[f"{self._prefix}certified_curve"] = [curve_picture(curve)]
        self._writer.images(pictures, epoch)
        self._writer.flush()

    def close(self) -> None:
        """Closes the file; a later epoch starts a new one."""
        self._writer.close()


def _is_upper(name: str) -> bool:
    return name.endswith("lipschitz_constant")


def _single(value: float, *, up: bool) -> float:
    """A bound from below as the float32 below it, which is all that TensorBoard shows."""
    with np.errstate(over="ignore"):  # Of a value beyond float32 the next line makes its largest.
        rounded = np.float32(value)
    if not up and float(rounded) > value:
        rounded = np.nextafter(rounded, np.float32(-math.inf))
    if up and float(rounded) < value:
        rounded = np.nextafter(rounded, np.float32(math.inf))
    return float(rounded)

"""A callback that proves the Lipschitz constant from the weights, each epoch."""

from __future__ import annotations

import time
import warnings
from typing import Any

import keras

from deel_seg._checks import check_integer, check_real
from deel_seg.lipschitz import (
    UnknownLipschitzBound,
    certified_lipschitz_constant,
    lipschitz_bound,
)


class LipschitzMonitor(keras.callbacks.Callback):
    """Logs the constant that a model's weights prove, and how far that is from its design.

    At the end of an epoch the logs get

    - `certified_lipschitz_constant`: see `deel_seg.lipschitz.certified_lipschitz_constant`;
    - `lipschitz_drift`: its relative excess over the constant by design, below 0 where there is
      none; not there for a model that has no constant by design;
    - `lipschitz_seconds`: what finding it has cost.

    Args:
        every: Epochs from one proof to the next; the first epoch of a `fit` and the last one
            planned have one in any case.
        tolerance: Drift above which a warning is given, once a `fit`. `None` gives none.

    Raises:
        UnknownLipschitzBound: At the beginning of `fit`, if a layer has no known bound.
        ValueError: For arguments that are not as described, and for a model that is no functional
            graph.

    Example:
    >>> from deel_seg.certificates import LipschitzMonitor
    >>> LipschitzMonitor(every=5).every
    5
    """

    def __init__(self, *, every: int = 1, tolerance: float | None = 1e-3) -> None:
        super().__init__()
        self.every = check_integer("every", every, minimum=1)
        if tolerance is not None:
            check_real("tolerance", tolerance, minimum=0)
        self.tolerance = tolerance
        self._first_epoch: int | None = None
        self._warned = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._first_epoch, self._warned = None, False
        # A model that cannot be bounded is told before training, and not after an epoch of it.
        certified_lipschitz_constant(self.model)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._first_epoch is None:
            self._first_epoch = epoch
        ends = epoch == self._first_epoch or epoch + 1 == (self.params or {}).get("epochs")
        if epoch % self.every and not ends:
            return
        start = time.perf_counter()
        certified = certified_lipschitz_constant(self.model)
        values = {"certified_lipschitz_constant": certified}
        try:
            drift = certified / lipschitz_bound(self.model) - 1.0
        except UnknownLipschitzBound:
            drift = None
        if drift is not None:
            values["lipschitz_drift"] = drift
            self._warn(drift, epoch)
        values["lipschitz_seconds"] = time.perf_counter() - start
        if logs is not None:
            logs.update(values)

    def _warn(self, drift: float, epoch: int) -> None:
        if self.tolerance is None or drift <= self.tolerance or self._warned:
            return
        self._warned = True
        warnings.warn(
            f"In epoch {epoch} the weights prove a Lipschitz constant that is {drift:.2%} above "
            "that by design: `deel_seg.lipschitz.audit` tells which layers have drifted.",
            stacklevel=2,
        )

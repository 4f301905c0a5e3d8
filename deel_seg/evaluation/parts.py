"""What was found of each batch, kept in a folder so that a long evaluation can be gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from deel_seg._checks import received
from deel_seg._parts import PartsFolder, fingerprint, weights_fingerprint
from deel_seg.evaluation.measuring import Measured, Measuring

_SUMS, _CURVE, _BATCH = "sums/", "curve/", "batch"


class Parts:
    """The measurements of all batches, and where they are kept.

    Args:
        folder: The folder; None keeps them in memory.
        models: The model, and others that are evaluated beside it, by name. They have to be the
            same when an evaluation is gone on with.
        settings: What was asked for; likewise.
    """

    def __init__(self, folder: Any, models: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        weights = {name: weights_fingerprint(model) for name, model in models.items()}
        self.settings = {**settings, "weights": weights}
        self.found: list[Measured] = []
        self._models = models
        self._folder = PartsFolder(folder, "the evaluation", self.settings)

    def has(self, index: int) -> bool:
        """Whether a batch was measured before."""
        return self._folder.has(index)

    def recognise(self, images: np.ndarray) -> None:
        """Refuses what was measured of other functions; `images` are the first batch."""
        for name, model in self._models.items():
            self._folder.recognise(model, images[:1], name)

    def keep(self, index: int, measured: Measured, measuring: Measuring, *batch: Any) -> None:
        """Takes what was measured of the next batch, and sums over all so far."""
        self.found.append(measured)
        arrays = {
            **measured,
            _BATCH: fingerprint(*batch),
            f"{_SUMS}class_pixels": measuring.class_pixels,
        }
        if measuring.curve is not None:
            state = measuring.curve.get_state()
            arrays |= {f"{_CURVE}{name}": value for name, value in state.items()}
        self._folder.keep(index, arrays)

    def restore(self, index: int, measuring: Measuring, *batch: Any) -> None:
        """Takes the next batch from the folder."""
        arrays = self._folder.load(index)
        if str(arrays.pop(_BATCH)) != fingerprint(*batch):
            raise ValueError(
                "`folder` holds a batch of other images or labels than the data: "
                f"{received(number=index)}"
            )
        measuring.class_pixels = arrays.pop(f"{_SUMS}class_pixels")
        curve = {
            name.removeprefix(_CURVE): arrays.pop(name)
            for name in list(arrays)
            if name.startswith(_CURVE)
        }
        if measuring.curve is not None:
            measuring.curve.set_state(curve)
        self.found.append(arrays)

    def joined(self) -> Measured:
        """All batches, one after the other."""
        return {name: np.concatenate([part[name] for part in self.found]) for name in self.found[0]}

"""What was found of each batch, kept in a folder so that a long evaluation can be gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from deel_seg._checks import received
from deel_seg._parts import PartsFolder, weights_fingerprint
from deel_seg.evaluation.measuring import Measured, Measuring

_SUMS, _CURVE = "sums/", "curve/"


class Parts:
    """The measurements of all batches, and where they are kept.

    Args:
        folder: The folder; None keeps them in memory.
        model: The model, whose weights have to be the same when an evaluation is gone on with.
        settings: What was asked for; likewise.
    """

    def __init__(self, folder: Any, model: Any, settings: Mapping[str, Any]) -> None:
        self.settings = {**settings, "weights": weights_fingerprint(model)}
        self.found: list[Measured] = []
        self._folder = PartsFolder(folder, "the evaluation", self.settings)

    def has(self, index: int) -> bool:
        """Whether a batch was measured before."""
        return self._folder.has(index)

    def keep(self, index: int, measured: Measured, measuring: Measuring) -> None:
        """Takes what was measured of the next batch, and sums over all so far."""
        self.found.append(measured)
        arrays = {**measured, f"{_SUMS}class_pixels": measuring.class_pixels}
        if measuring.curve is not None:
            state = measuring.curve.get_state()
            arrays |= {f"{_CURVE}{name}": value for name, value in state.items()}
        self._folder.keep(index, arrays)

    def restore(self, index: int, measuring: Measuring, images: int) -> None:
        """Takes the next batch from the folder."""
        arrays = self._folder.load(index)
        measuring.class_pixels = arrays.pop(f"{_SUMS}class_pixels")
        curve = {
            name.removeprefix(_CURVE): arrays.pop(name)
            for name in list(arrays)
            if name.startswith(_CURVE)
        }
        if measuring.curve is not None:
            measuring.curve.set_state(curve)
        if any(len(values) != images for values in arrays.values()):
            raise ValueError(
                f"`folder` holds a batch of other images than the data: number {index}. "
                + received(images=images)
            )
        self.found.append(arrays)

    def joined(self) -> Measured:
        """All batches, one after the other."""
        return {name: np.concatenate([part[name] for part in self.found]) for name in self.found[0]}

"""What an audit says of the rounding of a network's logits: measured, and proved."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
from keras import ops

from deel_seg._backend import accumulation_dtype, product_precision
from deel_seg.lipschitz.logit_error import estimate_logit_error
from deel_seg.lipschitz.rounding_bound import UnknownRoundingBound, logit_error_bound


@dataclasses.dataclass(frozen=True)
class LogitRounding:
    """How far rounding moves a logit, in the units of the logits.

    Attributes:
        measured: At the images given, by `estimate_logit_error`; `None` where it is unknown.
        proved: For all images of that size and range, by `logit_error_bound`; `None` likewise.
        image_size: Height and width.
        input_range: Least and largest value of the images given.
        products: What the proof takes hardware to bring the factors of products to.
        reasons: Why a number is unknown, by its name.
    """

    measured: float | None
    proved: float | None
    image_size: tuple[int, int]
    input_range: tuple[float, float]
    products: str
    reasons: dict[str, str]

    @property
    def consistent(self) -> bool:
        """Whether nothing was measured that is proved not to be."""
        return self.measured is None or self.proved is None or self.measured <= self.proved

    def __str__(self) -> str:
        height, width = self.image_size
        low, high = self.input_range
        return (
            f"Rounding of the logits: {self._told('measured')} measured at the images given, "
            f"{self._told('proved')} proved for all of {height}x{width} pixels with values from "
            f"{low:.6g} to {high:.6g}, products in {self.products}."
        )

    def _told(self, name: str) -> str:
        value = getattr(self, name)
        return f"{value:.3g}" if value is not None else f"unknown ({self.reasons[name]})"


def logit_rounding(model: keras.Model, images: Any, *, verbose: int = 1) -> LogitRounding:
    """Both numbers for `(count, height, width, channels)` images that a model takes."""
    given = ops.convert_to_numpy(ops.cast(images, model.inputs[0].dtype)).astype("float64")
    size, extent = given.shape[1:3], (float(given.min()), float(given.max()))
    measured, proved, reasons = None, None, {}
    if accumulation_dtype() == "float64":
        measured = estimate_logit_error(model, images, verbose=verbose)
    else:
        reasons["measured"] = "there is no float64 on this backend"
    try:
        proved = logit_error_bound(model, size, input_range=extent)
    except UnknownRoundingBound as error:
        reasons["proved"] = str(error)
    return LogitRounding(measured, proved, size, extent, product_precision(), reasons)

"""What the hardware, rather than exact arithmetic, takes for the prediction."""

from __future__ import annotations

import numpy as np

from deel_seg._backend import compiled
from deel_seg.certificates.pixels import predicted_class
from tests.certificates.exact import numbers

_compiled_prediction = compiled(predicted_class, static_argnames=("num_classes",))


def predictions(logits: np.ndarray) -> np.ndarray:
    """Predicted classes, subnormal logits being zero where the hardware takes them so."""
    return numbers(_compiled_prediction(logits, num_classes=logits.shape[-1]))

"""What is said of a training whose loss is NaN."""

from __future__ import annotations

import inspect
import math
import warnings
from typing import Any

import keras


class SaysWhyNaN(keras.callbacks.Callback):
    """Warns once, at the end of the first epoch whose loss is NaN.

    A label that names no class makes the losses of this library NaN, so that no training on wrong
    labels looks like one on right ones; the number alone does not say where it comes from.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said = False

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        wrong = [name for name, value in (logs or {}).items() if _is_nan(value)]
        if self._said or not any(name.endswith("loss") for name in wrong):
            return
        self._said = True
        loss = getattr(self.model, "loss", None)
        warnings.warn(
            f"{', '.join(wrong)} of epoch {epoch + 1}: NaN. Labels that are neither 0 to the "
            "number of classes - 1 nor `ignore_class` make them so: void pixels need "
            "`ignore_class=255`, or whatever their label is, in the loss and in the metrics "
            f"(`ignore_class={getattr(loss, 'ignore_class', None)}` in this loss). If labels are "
            "right, look at the images, and at the learning rate.",
            stacklevel=2,
        )


def with_said_nan(fit: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of Keras' `fit`, by name, with `SaysWhyNaN` among its callbacks."""
    given = inspect.signature(fit).bind(*args, **kwargs).arguments
    callbacks = given.get("callbacks")
    if not isinstance(callbacks, keras.callbacks.CallbackList):  # Made by hand, it is left alone.
        own = [] if callbacks is None else keras.tree.flatten(callbacks)
        given["callbacks"] = [*own, SaysWhyNaN()]
    return given


def _is_nan(value: Any) -> bool:
    try:
        return math.isnan(float(value))
    except (TypeError, ValueError):
        return False

"""Cross-entropy at a temperature, the loss that trades accuracy for robustness."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deel_seg._checks import check_real
from deel_seg.losses.pixel_loss import PixelLoss
from deel_seg.losses.schedulable import Schedulable

Tensor = Any


@keras.saving.register_keras_serializable("deel_seg")
class TemperatureCrossentropy(PixelLoss):
    r"""Cross-entropy of logits scaled by a temperature, over the temperature.

    $$-\frac{1}{\tau} \log \mathrm{softmax}(\tau z)_y$$

    per pixel, and with one signed logit the binary cross-entropy of $\tau z$ over $\tau$. A large
    $\tau$ makes a Lipschitz network accurate and brittle, a small one robust and less accurate.
    The gradient with respect to the logits stays bounded by $\sqrt 2$ whatever $\tau$ is.

    Args:
        temperature: $\tau > 0$. Assignable, also between the steps of a compiled training:
            `loss.temperature = 5.0`, or `loss.temperature.assign(5.0)` as deel-lip's
            `LossParamScheduler` does.
        **kwargs: `ignore_class`, `class_weights`, `reduction`, `name`, `dtype`, see `PixelLoss`.

    Example:

    >>> import numpy as np
    >>> from deel_seg.losses import TemperatureCrossentropy
    >>> loss = TemperatureCrossentropy(temperature=2.0, ignore_class=255)
    >>> logits = np.array([[[[1.0, 0.0], [9.0, 0.0]]]], dtype="float32")
    >>> print(f"{float(loss(np.array([[[0, 255]]]), logits)):.4f}")
    0.0635
    """

    def __init__(
        self, temperature: float, *, name: str = "temperature_crossentropy", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._temperature = Schedulable(_checked(temperature), name="temperature")

    @property
    def temperature(self) -> Schedulable:
        """The temperature, a variable."""
        return self._temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        self._temperature.assign(_checked(value))

    def pixel_losses(self, labels: Tensor, logits: Tensor, kept: Tensor) -> Tensor:
        temperature = ops.cast(self._temperature.read(beside=logits), logits.dtype)
        scaled = temperature * logits
        if logits.shape[-1] == 1:
            # -log sigmoid of the logit of the labelled class.
            chosen = ops.where(ops.equal(labels, 1), scaled[..., 0], -scaled[..., 0])
            return ops.softplus(-chosen) / temperature
        return ops.sparse_categorical_crossentropy(labels, scaled, from_logits=True) / temperature

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self._temperature.on_host}


def _checked(temperature: Any) -> float:
    return check_real("temperature", temperature, minimum=0, exclusive_minimum=True)

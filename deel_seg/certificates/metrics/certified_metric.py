"""What all certified metrics share: the Lipschitz constant and the options of a certificate."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deel_seg._backend import accumulation_dtype
from deel_seg._checks import check_real, received

Tensor = Any


class CertifiedMetric(keras.metrics.Metric):
    """A metric over logits that holds for every attack, by the model's Lipschitz constant.

    `LipschitzModel.compile` tells it the model's constant. A certificate that is averaged over
    images is an `ImageCertificate`; one of the whole data set keeps a state of its own.

    Args:
        lipschitz_constant: Proved upper bound of the map from image to logits. `None` takes the
            one of the model the metric is compiled with, which is one for p = 2 alone.
        ignore_class: Label of the pixels left out, such as 255 for void.
        p: Norm of the attack: 1, 2 or `inf`.
        logit_tolerance: How far each logit may be from its exact value.
        name: Name in the logs; Keras needs it free of dots there, and different for each metric.
        dtype: Passed on to Keras.
    """

    def __init__(
        self,
        *,
        lipschitz_constant: float | None = None,
        ignore_class: int | None = None,
        p: float = 2,
        logit_tolerance: float = 0.0,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.ignore_class = ignore_class
        if lipschitz_constant is not None:
            check_real("lipschitz_constant", lipschitz_constant, minimum=0, exclusive_minimum=True)
        self.lipschitz_constant = lipschitz_constant
        self.p = p
        self.logit_tolerance = check_real("logit_tolerance", logit_tolerance, minimum=0)
        self._model_lipschitz_constant: float | None = None
        # A variable, so that a compiled step sees a constant bound anew; not summed over replicas.
        self._constant = self.add_variable(
            (),
            "zeros",
            dtype=accumulation_dtype(),
            aggregation="only_first_replica",
            name="lipschitz_constant",
        )
        self._store_constant()

    @property
    def effective_lipschitz_constant(self) -> float | None:
        """The constant in use: the metric's own, else the compiled model's, else `None`."""
        if self.lipschitz_constant is None:
            return self._model_lipschitz_constant
        return self.lipschitz_constant

    def bind_lipschitz_constant(self, constant: float) -> None:
        """Tells the metric the l2 constant of the model it is compiled with; may be called again.

        A metric of another norm does not take it over: no bound in that norm follows.

        Raises:
            ValueError: When the metric was given a smaller one, with which it would certify more
                than holds.
        """
        check_real("lipschitz_constant", constant, minimum=0, exclusive_minimum=True)
        if self.p != 2:
            return
        if self.lipschitz_constant is not None and self.lipschitz_constant < constant:
            raise ValueError(
                f"Metric `{self.name}` was given a `lipschitz_constant` below the model's, "
                f"{constant!r}, and would certify more than holds. "
                f"{received(lipschitz_constant=self.lipschitz_constant)}"
            )
        self._model_lipschitz_constant = float(constant)
        self._store_constant()

    def reset_state(self) -> None:
        super().reset_state()
        self._store_constant()

    def _store_constant(self) -> None:
        # Rounding to nearest in float32 is within what the certificates add to the constant.
        self._constant.assign(self.effective_lipschitz_constant or 0.0)

    def _options(self) -> dict[str, Any]:
        if self.effective_lipschitz_constant is None:
            raise ValueError(
                f"Metric `{self.name}` needs the Lipschitz constant of the model: pass "
                "lipschitz_constant=... to the metric, or, for p=2, compile it with a model that "
                f"knows its own. {received(lipschitz_constant=None, p=self.p)}"
            )
        return {
            "lipschitz_constant": ops.convert_to_tensor(self._constant),
            "p": self.p,
            "ignore_class": self.ignore_class,
            "logit_tolerance": self.logit_tolerance,
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "ignore_class": self.ignore_class,
            "lipschitz_constant": self.lipschitz_constant,
            "p": self.p,
            "logit_tolerance": self.logit_tolerance,
        }

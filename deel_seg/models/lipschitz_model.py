"""Functional Keras models that know their Lipschitz constant."""

from __future__ import annotations

from typing import Any

import keras
from keras import tree

from deel_seg.certificates import CertifiedMetric
from deel_seg.layers.lipschitz_layer import Condensable
from deel_seg.lipschitz import certified_lipschitz_constant, lipschitz_bound


@keras.saving.register_keras_serializable("deel_seg")
class LipschitzModel(keras.Model):
    """A functional Keras model whose Lipschitz constant is proved from its graph.

    Built, compiled, trained, saved and loaded as any functional Keras model. On top of that:

    - `lipschitz_constant` is a proved bound of its l2 Lipschitz constant at inference;
    - certified metrics given to `compile` take that constant, and one given a smaller constant is
      refused; `evaluate` (and so the validation in `fit`) takes the one proved from the weights
      where that is larger;
    - `evaluate` and `predict` (and so the validation in `fit`) run on condensed kernels.

    Args:
        inputs: Input tensor of the graph.
        outputs: Its logits.
        name: Name of the model.
        **kwargs: Keras' arguments of a model.

    Raises:
        UnknownLipschitzBound: From `lipschitz_constant`, and so from `compile` with certified
            metrics, if a layer has no known bound; the message names it.

    Example:

    >>> import keras, deel_seg
    >>> from deel_seg.layers import MaxMin, OrthogonalConv2D
    >>> inputs = keras.Input((None, None, 3))
    >>> x = MaxMin()(OrthogonalConv2D(16, 3)(inputs))
    >>> model = deel_seg.LipschitzModel(inputs, OrthogonalConv2D(5, 1)(x))
    >>> model.lipschitz_constant
    1.0
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)

    @property
    def lipschitz_constant(self) -> float:
        """Proved bound of the l2 Lipschitz constant, input to logits, at inference."""
        return lipschitz_bound(self)

    def proved_constant(self) -> float:
        """The constant that certificates of the present weights take.

        That by design, or the one that the weights prove (`certified_lipschitz_constant`) where it
        is larger: rounding and missed constraints are in there. The norms of kernels that have not
        changed since are known; for others it takes a second for config S, and some for M2.
        """
        certified = certified_lipschitz_constant(self)
        # Not `max`: where either is NaN it may return the other, and certify with that.
        return self.lipschitz_constant if self.lipschitz_constant >= certified else certified

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As Keras' `compile`; certified metrics learn the model's constant here."""
        names = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics")
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        metrics = tree.flatten([given.get("metrics"), given.get("weighted_metrics")])
        certified = [metric for metric in metrics if isinstance(metric, CertifiedMetric)]
        # As a function: Keras would count the metrics in a list of ours a second time.
        self._certified_metrics = lambda: certified
        self._bind_metrics(certify=False)  # The weights are still to be trained, or loaded.
        super().compile(*args, **kwargs)
        # An optimiser whose variables the first step has to make has that step traced twice.
        if self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)

    def _bind_metrics(self, *, certify: bool) -> bool:
        """Tells certified metrics the constant; whether that by design is another than before."""
        certified = self._certified_metrics() if hasattr(self, "_certified_metrics") else []
        if not certified:
            return False
        constant = self.lipschitz_constant
        in_use = self.proved_constant() if certify else constant
        for metric in certified:
            metric.bind_lipschitz_constant(in_use)
        changed = constant != getattr(self, "_bound_constant", constant)
        self._bound_constant = constant
        return changed

    def compile_from_config(self, config: dict[str, Any]) -> None:
        # Keras leaves this to whoever overrides `compile`.
        self.compile(**keras.saving.deserialize_keras_object(config))

    def condense(self) -> None:
        """Composes every orthogonal kernel once, for inference until the weights change.

        Raises:
            ValueError: If weights have been pushed off the manifold and cannot be brought back.
        """
        for layer in self._flatten_layers(include_self=False):
            if isinstance(layer, Condensable):
                layer.condense()

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """As Keras' `evaluate`, on condensed kernels."""
        self.condense()
        # A BatchNormalization's weights, or a factor set by hand, may have moved the constant,
        # which the compiled function holds as a number.
        if self._bind_metrics(certify=True):
            self.test_function = None
        return super().evaluate(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """As Keras' `predict`, on condensed kernels."""
        self.condense()
        return super().predict(*args, **kwargs)

    def vanilla_export(self) -> keras.Model:
        """The same network with orthogonal convolutions and centerings as plain Keras layers.

        Same logits to float precision; nothing keeps it Lipschitz if it is trained further. Layers
        without weights (activations, scaled sums) stay those of `deel_seg.layers`.
        """
        self.condense()
        return _plain_network(self)


def _plain_network(model: keras.Model) -> keras.Model:
    network = keras.Model(model.input, model.output, name=model.name)
    exported = keras.models.clone_model(network, clone_function=_plain_layer)
    for source, target in zip(network.layers, exported.layers, strict=True):
        if not isinstance(source, (Condensable, keras.Model)):
            target.set_weights(source.get_weights())
    return exported


def _plain_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    if isinstance(layer, Condensable):
        return layer.vanilla_export()
    if isinstance(layer, keras.Model):
        return _plain_network(layer)
    return layer.__class__.from_config(layer.get_config())

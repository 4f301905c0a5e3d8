"""Functional Keras models that know their Lipschitz constant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import tree

from deel_seg._backend import fuses_layers
from deel_seg._checks import check_integer
from deel_seg.certificates import CertifiedMetric
from deel_seg.layers.kernels_together import composed_together
from deel_seg.layers.lipschitz_layer import Condensable
from deel_seg.lipschitz import (
    UnknownLipschitzBound,
    certified_lipschitz_constant,
    lipschitz_bound,
)
from deel_seg.models.accumulated_steps import AccumulatedSteps
from deel_seg.models.graph_parts import GraphPart, OperationFunction, call_options, cut_graph
from deel_seg.models.nan_loss import with_said_nan
from deel_seg.models.remat_parts import run_in_parts
from deel_seg.models.sorted_convolutions import (
    for_other_programs,
    joined,
    sorted_convolutions,
)
from deel_seg.vanilla import plain_network


@keras.saving.register_keras_serializable("deel_seg")
class LipschitzModel(AccumulatedSteps):
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

    # Before Keras 3.15 only a model whose arguments have these names is saved with its graph.
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._set_up(*args, **kwargs)

    def _set_up(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        self._remat_graph: Callable[[], Sequence[GraphPart]]
        # As functions: Keras would track what is in a list of ours a second time.
        together = [] if fuses_layers() else sorted_convolutions(self)
        self._sorted_convolutions = lambda: together
        self.remat_parts = 1

    # Keras' own name, for what its `call` runs the graph with. Not `call` itself: by that of Keras
    # it is known that a model computes its graph and nothing else. Nor `__call__`, which Keras'
    # trainer for JAX goes around.
    def _run_through_graph(self, inputs: Any, *args: Any, **options: Any) -> Any:
        """As Keras', side by side: kernels of one shape in training, layers at inference."""
        operation_fn: OperationFunction | None = options.get("operation_fn")
        told = None if operation_fn is None else call_options(inputs, operation_fn)
        if operation_fn is None or told is None:
            return super()._run_through_graph(inputs, *args, **options)
        if told.get("training") is not True:
            options["operation_fn"] = joined(operation_fn, self._sorted_convolutions())
            return super()._run_through_graph(inputs, *args, **options)
        with composed_together(self._orthogonal_layers()):
            if len(parts := self._remat_graph()) > 1:
                return run_in_parts(self, parts, inputs, operation_fn)
            return super()._run_through_graph(inputs, *args, **options)

    @property
    def lipschitz_constant(self) -> float:
        """Bound of the l2 Lipschitz constant by design, input to logits, at inference.

        In half precision kernels are rounded as they are used, which the design does not see: up to
        some 0.3 % a layer in bfloat16, until `condense()` divides it out. Certificates of `fit` and
        `evaluate` take `proved_constant()`, and so should those of your own.
        """
        return lipschitz_bound(self)

    def proved_constant(self) -> float:
        """The constant that certificates of the present weights take.

        That by design, or the one that the weights prove (`certified_lipschitz_constant`) where it
        is larger: rounding and missed constraints are in there. The norms of kernels that have not
        changed since are known; for others it takes a second for config S, and some for M2. Where
        the design says nothing, as of an ordinary convolution, it is what the weights prove.
        """
        certified = certified_lipschitz_constant(self)
        try:
            by_design = self.lipschitz_constant
        except UnknownLipschitzBound:
            return certified
        # Not `max`: where either is NaN it may return the other, and certify with that.
        return by_design if by_design >= certified else certified

    @property
    def remat_parts(self) -> int:
        """In how many parts of about equal memory the network trains (rematerialisation); 1.

        From 2 on, a training step keeps the activations that pass between parts and those of one
        part, and computes each part a second time for its gradients: less memory, for the time of
        one more forward pass. The training is the same. To be set before `fit`; it is saved with
        what the model is compiled with.

        Raises:
            ValueError: If it is set below 1; and in training, if layers add losses of activations.
        """
        return self._remat_parts

    @remat_parts.setter
    def remat_parts(self, count: int) -> None:
        self._remat_parts = check_integer("remat_parts", count, minimum=1)
        parts = cut_graph(self, count) if count > 1 else []
        self._remat_graph = lambda: parts
        self.train_function = None

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As Keras' `compile`; certified metrics learn the model's constant here."""
        names = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics")
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        metrics = tree.flatten([given.get("metrics"), given.get("weighted_metrics")])
        certified = [metric for metric in metrics if isinstance(metric, CertifiedMetric)]
        self._certified_metrics = lambda: certified
        self._bind_metrics(certify=False)  # The weights are still to be trained, or loaded.
        super().compile(*args, **kwargs)

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

    def get_compile_config(self) -> dict[str, Any]:
        config = super().get_compile_config()
        return {**config, "remat_parts": self.remat_parts} if config else config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        # Keras leaves this to whoever overrides `compile`.
        self.remat_parts = config.get("remat_parts", 1)
        kept = {name: value for name, value in config.items() if name != "remat_parts"}
        self.compile(**keras.saving.deserialize_keras_object(kept))

    def condense(self) -> None:
        """Fixes the kernels that inference uses, and divides each by its bound if that is above 1.

        So that `lipschitz_constant` holds exactly, whatever was rounded on the way. It lasts until
        the weights change. Proving the norms takes a second for config S and some for M2, and next
        to nothing for kernels that were proved before.

        Raises:
            ValueError: If weights have been pushed off the manifold and cannot be brought back.
        """
        self.compose_kernels()
        for layer in self._orthogonal_layers():
            layer.divide_by_bound()

    def compose_kernels(self) -> None:
        """Composes every orthogonal kernel once, for inference until the weights change.

        `evaluate` and `predict` do it. What was condensed stays as it is.

        Raises:
            ValueError: If weights have been pushed off the manifold and cannot be brought back.
        """
        for layer in self._flatten_layers(include_self=False):
            if isinstance(layer, Condensable):
                layer.condense()

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """As Keras' `fit`; it warns of an epoch whose loss is NaN, and says what makes it so."""
        return super().fit(**with_said_nan(super().fit, args, kwargs))

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """As Keras' `evaluate`, on condensed kernels."""
        self.compose_kernels()
        # A BatchNormalization's weights, or a factor set by hand, may have moved the constant,
        # which the compiled function holds as a number.
        if self._bind_metrics(certify=True):
            self.test_function = None
        return super().evaluate(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """As Keras' `predict`, on condensed kernels."""
        self.compose_kernels()
        return super().predict(*args, **kwargs)

    def export(self, *args: Any, **kwargs: Any) -> None:
        """As Keras' `export`, on condensed kernels, for programs that need not have XLA.

        The file gives logits alone; `deel_seg.export` writes certificates along with them.
        """
        self.compose_kernels()
        with for_other_programs():
            super().export(*args, **kwargs)

    def vanilla_export(self) -> keras.Model:
        """The same network out of Keras' own layers: it needs this library no longer.

        Sorted pairs of channels become a maximum and a minimum; kernels are condensed, and
        centerings, factors and weights of sums go into the kernels and biases around them where
        they can: a shift that meets a border of zeros stays a layer, for the border must stay zero.
        The logits are the same to float precision, and the constant proved of the plain network,
        by `certified_lipschitz_constant`, is at most `lipschitz_constant` where that is proved of
        this one. Nothing keeps it Lipschitz if it is trained further, and nothing refuses images
        of a size that the strides do not divide.

        Raises:
            ValueError: If a layer has no form among Keras' own; the message names it.
        """
        self.condense()
        plain = plain_network(self)
        try:
            allowed, proved = self.proved_constant(), certified_lipschitz_constant(plain)
        except UnknownLipschitzBound:
            return plain  # Nothing is promised of it.
        return plain if proved <= allowed else plain_network(self, _below(allowed / proved))


def _below(ratio: float) -> float:
    """A factor that is at most the ratio after what rounding weights to float32 adds."""
    return ratio * (1.0 - 2.0**-20)

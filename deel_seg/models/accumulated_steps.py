"""Training steps in which the batches of one update share the composition of kernels."""

from __future__ import annotations

from typing import Any

import keras

from deel_seg._backend import IS_TENSORFLOW
from deel_seg._derivatives import value_and_gradient
from deel_seg._replicas import num_replicas
from deel_seg.layers.kernels_together import composed_kernels, kernels_handed_out
from deel_seg.layers.orthogonal_convolution import OrthogonalConvolution
from deel_seg.models.accumulated_kernels import (
    AccumulatedKernels,
    build_kernel_sums,
    is_trained,
    kernel_sums,
    updates_after,
)
from deel_seg.models.worker_steps import WorkerSteps
from deel_seg.parametrizations import retracted_together

Tensor = Any


class AccumulatedSteps(WorkerSteps):
    """`train_step` as Keras', with one composition of kernels and one retraction an update.

    Under an optimiser with `gradient_accumulation_steps`. On several replicas of a `tf.distribute`
    strategy kernels are composed for each batch, as without one.
    """

    def train_step(self, *args: Any) -> Any:
        """As Keras' `train_step`; weights of one shape return to the manifold together."""
        # Frozen ones are no variables of the optimiser, and on JAX have no value in its step.
        factors = [
            factor
            for layer in self._orthogonal_layers()
            for factor in layer.factors
            if factor.trainable
        ]
        with retracted_together(factors, updates_after(self.optimizer)):
            if not self._adds_up_kernels():
                return super().train_step(*args)
            step = self._step_on_tensorflow if IS_TENSORFLOW else self._step_on_jax
            return step(*args)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        super().compile(*args, **kwargs)
        if self.optimizer is None:
            return
        # An optimiser whose variables the first step has to make has that step traced twice.
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        if updates_after(self.optimizer) is not None and self._on_one_replica():
            build_kernel_sums(self._orthogonal_layers(), self.optimizer)

    def _orthogonal_layers(self) -> list[OrthogonalConvolution]:
        layers = self._flatten_layers(include_self=False)
        return [layer for layer in layers if isinstance(layer, OrthogonalConvolution)]

    def _on_one_replica(self) -> bool:
        return not IS_TENSORFLOW or self.distribute_strategy.num_replicas_in_sync == 1

    def _adds_up_kernels(self) -> bool:
        return (
            updates_after(self.optimizer) is not None
            and num_replicas() == 1
            and bool(self._trained_and_sums()[0])
        )

    def _trained_and_sums(self) -> tuple[list[OrthogonalConvolution], list[Any]]:
        layers = self._orthogonal_layers()
        sums = kernel_sums(layers, self.optimizer)
        trained = [index for index in sums if is_trained(layers[index])]
        return [layers[index] for index in trained], [sums[index] for index in trained]

    def _accumulated_kernels(self) -> AccumulatedKernels:
        return AccumulatedKernels(*self._trained_and_sums(), self.optimizer)

    def _step_on_tensorflow(self, data: Any) -> Any:
        shared = self._accumulated_kernels()
        kernels = shared.kernels()
        with kernels_handed_out(lambda: shared.handed_out(kernels)):
            logs = super().train_step(data)
        shared.add_up()
        return logs

    def _step_on_jax(self, state: Any, data: Any) -> Any:
        """Keras' step for JAX, with the kernels as one more argument of the loss."""
        trainable, non_trainable, of_optimizer, of_metrics = state
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)

        def scope(values: Any) -> keras.StatelessScope:
            pairs = zip(self.optimizer.variables, values, strict=True)
            return keras.StatelessScope(
                [
                    *zip(self.trainable_variables, trainable, strict=True),
                    *zip(self.non_trainable_variables, non_trainable, strict=True),
                    *pairs,
                ]
            )

        with scope(of_optimizer) as before:
            shared = self._accumulated_kernels()
            kernels = shared.kernels()
            factors = [factor for each in shared.factors() for factor in each]
        non_trainable = [before.get_current_value(v) for v in self.non_trainable_variables]
        names = list(map(id, shared.layers))

        def loss_of(arguments: tuple[Any, Any]) -> Any:
            variables, handed_out = arguments
            with composed_kernels(dict(zip(names, handed_out, strict=True))):
                return self.compute_loss_and_updates(
                    variables,
                    non_trainable,
                    of_metrics,
                    x,
                    y,
                    sample_weight,
                    training=True,
                    optimizer_variables=of_optimizer,
                )

        (_, found), (gradients, of_kernels) = value_and_gradient(loss_of, (trainable, kernels))
        loss, predicted, non_trainable, of_metrics = found
        with scope(of_optimizer):
            pulled = shared.pulled_back(factors, of_kernels)
        place = {id(variable): index for index, variable in enumerate(self.trainable_variables)}
        variables = [factor for layer in shared.layers for factor in layer.factors]
        for variable, gradient in zip(variables, pulled, strict=True):
            gradients[place[id(variable)]] += gradient
        trainable, of_optimizer = self.optimizer.stateless_apply(of_optimizer, gradients, trainable)
        with scope(of_optimizer) as after:
            shared.add_up()
        of_optimizer = [after.get_current_value(v) for v in self.optimizer.variables]
        logs, of_metrics = self._update_metrics_variables(
            of_metrics, loss, x, y, predicted, sample_weight
        )
        return logs, (trainable, non_trainable, of_optimizer, of_metrics)

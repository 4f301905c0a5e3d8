"""What the orthogonal convolutions share: orthonormal variables, and the kernel kept of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from deel_seg._backend import branch, compiled_as_one
from deel_seg._checks import received
from deel_seg._derivatives import vjp
from deel_seg.layers.kernels_together import composed_kernel
from deel_seg.layers.lipschitz_layer import Condensable, LipschitzLayer
from deel_seg.layers.stored_weights import CHECKSUM, add_checksum, without_checksum
from deel_seg.parametrizations import (
    AdaptiveOrthogonalKernel,
    Orthonormal,
    OrthonormalInitializer,
    orthonormality_error,
    tangent,
)

Tensor = Any

ON_MANIFOLD = 1e-4
"""Entries of `|W^T W - I|` below which a matrix counts as orthonormal up to rounding."""

SINGULAR = 1e-3
"""Smallest singular value, relative to the largest, from which a matrix can be brought back."""


@compiled_as_one()
def _equal(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    """Whether all tensors are those of the other list, bit for bit but for the sign of zero."""
    return ops.all(ops.stack([ops.all(a == b) for a, b in zip(first, second, strict=True)]))


class OrthogonalKernelLayer(LipschitzLayer, Condensable):
    """Owns the factors of an orthogonal kernel and hands out the kernel itself.

    The trainable variables, `projectors` and `matrix`, have orthonormal columns and keep them: the
    gradient is projected, and the variables' constraint retracts them after each update. They
    stay in float32 under every dtype policy, and so does the composition of the kernel.

    In training the kernel is composed at each step. `condense()` composes it once into the
    variable `kernel`, and inference takes that one as long as the factors are, bit for bit, those
    it was made of; as soon as they differ, the kernel is composed on the fly. So a stale kernel is
    never used, and nothing has to be refreshed for the outputs to be right, only for them to be
    fast.
    """

    @property
    def plan(self) -> AdaptiveOrthogonalKernel:
        """Shape and composition of the kernel, once the layer is built."""
        return self._plan

    def build_factors(self, plan: AdaptiveOrthogonalKernel) -> None:
        """Creates the variables; to be called from `build`."""
        self._plan = plan
        shapes = {"projectors": plan.projectors_shape, "matrix": plan.matrix_shape}
        self._factor_names = [name for name, shape in shapes.items() if shape is not None]
        for name in self._factor_names:
            variable = self.add_weight(
                name=name,
                shape=shapes[name],
                initializer=OrthonormalInitializer(),
                constraint=Orthonormal(),
                dtype="float32",
                autocast=False,
            )
            setattr(self, name, variable)
        # No orthonormal matrix is zero: until `condense`, the kept kernel belongs to no factors.
        for name in self._factor_names:
            source = self._kept_variable(f"{name}_of_kernel", shapes[name])
            setattr(self, f"{name}_of_kernel", source)
        kernel_shape = (
            *plan.kernel_size,
            plan.in_channels // plan.groups,
            plan.out_channels,
        )
        self.kernel = self._kept_variable("kernel", kernel_shape)

    def _kept_variable(self, name: str, shape: tuple[int, ...] | None) -> Any:
        return self.add_weight(
            name=name,
            shape=shape,
            initializer="zeros",
            trainable=False,
            dtype="float32",
            autocast=False,
        )

    @property
    def named_factors(self) -> dict[str, Any]:
        """The orthonormal variables: `projectors` or `matrix` or both."""
        return {name: getattr(self, name) for name in self._factor_names}

    @property
    def factors(self) -> list[Any]:
        """The orthonormal variables, in a list."""
        return list(self.named_factors.values())

    @property
    def factors_of_kernel(self) -> list[Any]:
        """The variables that hold what `kernel` was composed of, in the order of `factors`."""
        return [getattr(self, f"{name}_of_kernel") for name in self._factor_names]

    def _compose(self, *factors: Tensor) -> Tensor:
        named = dict(zip(self._factor_names, factors, strict=True))
        return self._plan(named.get("projectors"), named.get("matrix"))

    def effective_kernel(self, training: bool | None = False) -> Tensor:
        """Float32 kernel `(height, width, c_in / groups, c_out)` of the forward direction."""
        if training and (composed := composed_kernel(self)) is not None:
            return composed
        # Read once, by copy: TensorFlow's custom gradients take tensors, and no variables.
        values = [ops.copy(factor) for factor in self.factors]
        if training:
            return self._compose(*[tangent(value) for value in values])
        sources = [ops.copy(made_of) for made_of in self.factors_of_kernel]
        return self._kept_or_composed(ops.copy(self.kernel), sources, values)

    def _kept_or_composed(self, kernel: Tensor, sources: list[Tensor], values: list[Tensor]) -> Any:
        count = len(values)

        @ops.custom_gradient
        def select(kept: Tensor, *tensors: Tensor) -> tuple[Tensor, Any]:
            factors, made_of = tensors[:count], tensors[count:]
            chosen = branch(_equal(factors, made_of), lambda: kept, lambda: self._compose(*factors))

            # The gradient goes to the factors whichever branch ran: a layer that is trained in
            # inference mode (frozen statistics) must not silently stand still.
            def gradient(*upstream: Tensor) -> tuple[Tensor, ...]:
                (direction,) = upstream
                pulled = vjp(
                    lambda *parts: self._compose(*[tangent(part) for part in parts]),
                    factors,
                    direction,
                )
                zeros = [ops.zeros_like(source) for source in made_of]
                return (ops.zeros_like(kept), *pulled, *zeros)

            return chosen, gradient

        return select(kernel, *values, *sources)

    def condense(self) -> None:
        """Brings the factors onto the manifold if they are off it, and keeps their kernel."""
        if not self.built:
            return
        # First, for a training step may have kept a kernel of factors that are off it.
        for name in self._factor_names:
            self._restore(name)
        if self._keeps_its_kernel():
            return  # A kernel that was divided by its bound stays so.
        self.keep_kernel(self._compose(*[ops.convert_to_tensor(f) for f in self.factors]))

    def keep_kernel(self, kernel: Tensor) -> None:
        """Keeps this kernel as that of the factors as they are."""
        for factor, made_of in zip(self.factors, self.factors_of_kernel, strict=True):
            # A copy: Keras' JAX trainer gives buffers away, and no two variables may share one.
            made_of.assign(ops.copy(factor))
        self.kernel.assign(kernel)

    def _keeps_its_kernel(self) -> bool:
        """Whether the kept kernel is that of the factors as they are."""
        factors, made_of = (
            [ops.convert_to_tensor(each) for each in variables]
            for variables in (self.factors, self.factors_of_kernel)
        )
        return bool(_equal(factors, made_of))

    def _restore(self, name: str) -> None:
        """Puts one variable back to the nearest orthonormal matrices, or refuses it."""
        variable = getattr(self, name)
        error = float(np.max(orthonormality_error(variable)))
        if error <= ON_MANIFOLD:
            return
        array = ops.convert_to_numpy(variable).astype("float64")
        refusal = (
            f"The weights `{name}` of layer {self.name!r} are not orthonormal and cannot be "
            "brought back: "
        )
        if not np.all(np.isfinite(array)):
            raise ValueError(f"{refusal}they hold NaN or infinity. {received(weights=name)}")
        left, singular, right = np.linalg.svd(array, full_matrices=False)
        ratio = float(np.min(singular[..., -1] / np.maximum(singular[..., 0], 1e-300)))
        if ratio < SINGULAR:
            raise ValueError(
                f"{refusal}their columns are not independent (smallest over largest singular "
                f"value must be at least {SINGULAR:g}). {received(ratio=ratio)}"
            )
        warnings.warn(
            f"The weights {name!r} of layer {self.name!r} were not orthonormal (error {error:.2g}) "
            "and have been replaced by the nearest ones that are.",
            stacklevel=3,
        )
        variable.assign((left @ right).astype("float32"))

    def export_weights(self, layer: keras.layers.Layer) -> None:
        """Gives a plain Keras convolution of the same shape the kernel and bias of this one."""
        weights = [self.scaled(self.effective_kernel())]
        if self.bias is not None:
            weights.append(self.scaled(ops.convert_to_tensor(self.bias)))
        layer.set_weights([ops.convert_to_numpy(weight) for weight in weights])

    def save_own_variables(self, store: Any) -> None:
        # Said and not refused: what was trained is not to be lost.
        for name in self._factor_names:
            error = float(np.max(orthonormality_error(getattr(self, name))))
            if not error <= ON_MANIFOLD:
                warnings.warn(
                    f"The weights {name!r} of layer {self.name!r} are saved as they are, but they "
                    f"are not orthonormal (error {error:.2g}): loading them brings them back, or "
                    "refuses them.",
                    stacklevel=2,
                )
        # The kept kernel is left out: it follows from the factors, and a file in which the two
        # disagree should not exist.
        add_checksum(store, self._saved_variables())

    def load_own_variables(self, store: Any) -> None:
        expected = self._saved_variables()
        if set(store.keys()) != {*expected, CHECKSUM}:
            raise ValueError(
                f"Layer {self.name!r} expects the weights {sorted(expected)}, and their checksum. "
                + received(weights=sorted(store.keys()))
            )
        stored = without_checksum(self.name, store)
        for name, variable in expected.items():
            variable.assign(stored[name])
        for name in self._factor_names:
            self._restore(name)

    def _saved_variables(self) -> dict[str, Any]:
        saved = {name: getattr(self, name) for name in self._factor_names}
        if getattr(self, "bias", None) is not None:
            saved["bias"] = self.bias
        return saved

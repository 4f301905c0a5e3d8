"""Condensing: the kernels that inference uses are at most of the norm that the design states."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

import deel_seg
from deel_seg.layers import MaxMin, OrthogonalConv2D
from deel_seg.lipschitz import certified_lipschitz_constant


def model_in(dtype: str) -> deel_seg.LipschitzModel:
    image = keras.Input((None, None, 3))
    x = MaxMin(dtype=dtype)(OrthogonalConv2D(8, 3, dtype=dtype)(image))
    return deel_seg.LipschitzModel(image, OrthogonalConv2D(4, 3, dtype=dtype)(x))


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16", "bfloat16"])
def test_the_constant_by_design_holds_of_the_condensed_weights(dtype: str) -> None:
    model = model_in(dtype)
    model.compose_kernels()
    composed = certified_lipschitz_constant(model)
    if "bfloat16" in dtype:
        assert composed > 1.0  # Eight bits of a kernel are not orthogonal: there is work to do.
    model.condense()
    assert certified_lipschitz_constant(model) <= model.lipschitz_constant == 1.0
    assert model.proved_constant() == 1.0


def test_a_kernel_within_its_bound_stays_bit_for_bit() -> None:
    model = model_in("float32")
    model.compose_kernels()
    kernels = [ops.convert_to_numpy(layer.kernel).copy() for layer in (model.layers[1],)]
    model.condense()
    np.testing.assert_array_equal(ops.convert_to_numpy(model.layers[1].kernel), kernels[0])


def test_what_was_divided_stays_so_until_the_weights_change() -> None:
    model = model_in("float32")
    model.compose_kernels()
    layer = model.layers[1]
    layer.kernel.assign(3.0 * layer.kernel)
    model.condense()
    divided = ops.convert_to_numpy(layer.kernel).copy()
    images = np.ones((1, 8, 8, 3), "float32")
    model.predict(images, verbose=0)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.kernel), divided)
    layer.projectors.assign(model_in("float32").layers[1].projectors)  # Drawn anew.
    model.predict(images, verbose=0)
    assert np.max(np.abs(ops.convert_to_numpy(layer.kernel) - divided)) > 0.01

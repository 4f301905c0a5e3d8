"""OrthogonalConv2D: its bound on explicit matrices, its orthogonality, what it refuses."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from deel_seg.layers import OrthogonalConv2D
from tests.layers.contract import functional, train
from tests.linear_map import exceeds, matrix_of, singular_values, symbol_singular_values

ORTHOGONAL = 1e-3
"""How far below 1 the smallest singular value of a circular convolution may be: what is asked."""

ZERO_PADDED: dict[str, tuple[int, dict[str, Any]]] = {
    # channels in, arguments
    "pointwise": (3, {"filters": 5, "kernel_size": 1}),
    "to_one": (5, {"filters": 1, "kernel_size": 1}),
    "even_kernel": (4, {"filters": 3, "kernel_size": 2}),
    "wide_kernel": (2, {"filters": 2, "kernel_size": 7}),
    "oblong": (3, {"filters": 4, "kernel_size": (5, 2), "strides": (1, 2)}),
    "patches": (3, {"filters": 7, "kernel_size": 2, "strides": 2}),
    "strided": (3, {"filters": 13, "kernel_size": 3, "strides": 2}),
    "dilated": (4, {"filters": 2, "kernel_size": 3, "dilation_rate": (3, 2)}),
    "grouped": (6, {"filters": 4, "kernel_size": 3, "strides": 2, "groups": 2}),
    "valid": (3, {"filters": 4, "kernel_size": 3, "padding": "valid"}),
}
SIZES = [(6, 6), (5, 7), (3, 3)]

CIRCULAR: dict[str, tuple[int, dict[str, Any]]] = {
    "square": (4, {"filters": 4, "kernel_size": 3}),
    "odd_channels": (3, {"filters": 3, "kernel_size": 5}),
    "more_out": (2, {"filters": 6, "kernel_size": 3}),
    "fewer_out": (6, {"filters": 3, "kernel_size": (2, 3)}),
    "dilated": (4, {"filters": 4, "kernel_size": 3, "dilation_rate": 4}),
    "strided_square": (2, {"filters": 8, "kernel_size": 3, "strides": 2}),
    "strided_more": (2, {"filters": 11, "kernel_size": 4, "strides": 2}),
    "strided_fewer": (4, {"filters": 3, "kernel_size": 5, "strides": 3}),
    "grouped": (6, {"filters": 4, "kernel_size": 3, "groups": 2}),
}


def trained(channels: int, arguments: dict[str, Any], size: int = 6) -> Any:
    layer = OrthogonalConv2D(**arguments)
    train(functional(layer, channels), (size, size, channels))
    return layer


@pytest.mark.parametrize("name", ZERO_PADDED)
def test_norm_is_at_most_one_with_zero_padding(name: str) -> None:
    channels, arguments = ZERO_PADDED[name]
    layer = trained(channels, arguments)
    for height, width in SIZES:
        for training in (False, True) if (height, width) == SIZES[0] else (False,):
            matrix = matrix_of(layer, (height, width, channels), training=training)
            assert not exceeds(matrix, layer.lipschitz_constant)
    assert layer.lipschitz_constant == 1.0


@pytest.mark.parametrize("name", CIRCULAR)
def test_circular_padding_is_orthogonal(name: str) -> None:
    channels, arguments = CIRCULAR[name]
    layer = trained(channels, {**arguments, "padding": "circular"})
    for patches in (2, 3):
        size = patches * layer.strides[0]
        matrix = matrix_of(layer, (size, size, channels))
        assert not exceeds(matrix, layer.lipschitz_constant)
        assert singular_values(matrix)[-1] > 1 - ORTHOGONAL


@pytest.mark.parametrize("name", CIRCULAR)
def test_symbol_agrees_with_the_matrix(name: str) -> None:
    channels, arguments = CIRCULAR[name]
    layer = OrthogonalConv2D(**arguments, padding="circular")
    layer.build((None, None, None, channels))
    values = symbol_singular_values(
        ops.convert_to_numpy(layer.effective_kernel()),
        6,
        stride=layer.strides[0],
        dilation=layer.dilation_rate[0],
        groups=layer.groups,
    )
    assert values[0] <= layer.lipschitz_constant
    assert values[-1] > 1 - ORTHOGONAL
    if name in ("square", "strided_more", "grouped"):
        matrix = singular_values(matrix_of(layer, (6, 6, channels)))
        # The float32 impulses pass the kernel through unchanged, but sums of wrapped taps round.
        np.testing.assert_allclose(values, matrix, rtol=0, atol=1e-6)


def test_a_circular_layer_whose_strides_do_not_divide_would_be_caught() -> None:
    class Unchecked(OrthogonalConv2D):
        def _wrap(self, inputs: Any) -> Any:
            for axis in (1, 2):
                indices = ops.mod(ops.arange(7), 5)
                inputs = ops.take(inputs, indices, axis=axis)
            return inputs

    layer = Unchecked(4, 3, 2, padding="circular", use_bias=False)
    assert exceeds(matrix_of(layer, (5, 5, 2)), 1.0)


@pytest.mark.parametrize("size", [(5, 6), (6, 9)])
def test_circular_padding_refuses_sizes_that_strides_do_not_divide(size: tuple[int, int]) -> None:
    layer = OrthogonalConv2D(4, 3, (2, 2), padding="circular", name="stage1")
    with pytest.raises(ValueError, match=r"stage1.*strides"):
        layer(np.zeros((1, *size, 2), "float32"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_size": 2, "strides": 3}, r"`kernel_size`.*kernel_size=\(2, 2\)"),
        ({"kernel_size": 3, "strides": 2, "dilation_rate": 2}, r"dilation_rate=\(2, 2\)"),
        ({"kernel_size": 3, "padding": "reflect"}, "padding='reflect'"),
        ({"kernel_size": 3, "groups": 3}, "`groups`.*groups=3"),
        ({"kernel_size": 0}, "`kernel_size`.*kernel_size=0"),
        ({"kernel_size": (3, 3, 3)}, r"`kernel_size`.*kernel_size=\(3, 3, 3\)"),
        ({"kernel_size": 3, "filters": 0}, "`filters`.*filters=0"),
        ({"kernel_size": 3, "k_coef_lip": -1.0}, "`k_coef_lip`.*k_coef_lip=-1.0"),
    ],
)
def test_arguments_are_refused_by_name_and_value(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OrthogonalConv2D(**{"filters": 4, **arguments})


def test_channels_that_admit_no_orthogonal_kernel_are_refused() -> None:
    with pytest.raises(ValueError, match="groups=2"):
        OrthogonalConv2D(4, 3, groups=2).build((None, None, None, 3))
    with pytest.raises(ValueError, match="in_channels=1"):
        OrthogonalConv2D(1, 3).build((None, None, None, 1))


def test_valid_padding_refuses_images_below_the_kernel() -> None:
    with pytest.raises(ValueError, match="smaller than the kernel"):
        OrthogonalConv2D(4, 5, padding="valid").compute_output_shape((1, 4, 8, 3))


@pytest.mark.parametrize("padding", ["same", "valid", "circular"])
@pytest.mark.parametrize("kernel_size", [2, 3])
def test_output_is_that_of_a_plain_convolution(padding: str, kernel_size: int) -> None:
    layer = OrthogonalConv2D(4, kernel_size, padding=padding)
    images = keras.random.normal((2, 6, 5, 3), seed=0)
    outputs = layer(images)
    padded, plain = images, padding
    if padding == "circular":
        before, after = (kernel_size - 1) // 2, kernel_size // 2
        for axis in (1, 2):
            parts = [padded, ops.split(padded, [after], axis=axis)[0]]
            if before:
                parts.insert(0, ops.split(padded, [padded.shape[axis] - before], axis=axis)[1])
            padded = ops.concatenate(parts, axis=axis)
        plain = "valid"
    expected = ops.conv(padded, layer.effective_kernel(), padding=plain)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(outputs), ops.convert_to_numpy(expected + ops.copy(layer.bias))
    )


def test_circular_padding_wraps_more_than_once_round_a_small_image() -> None:
    layer = OrthogonalConv2D(4, 3, padding="circular", dilation_rate=7, use_bias=False)
    matrix = matrix_of(layer, (2, 3, 4))
    assert not exceeds(matrix, 1.0)
    assert singular_values(matrix)[-1] > 1 - ORTHOGONAL


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="sizes are static on JAX")
@pytest.mark.parametrize("jit", [False, True])
def test_circular_padding_refuses_sizes_known_at_run_time_only(jit: bool) -> None:
    import tensorflow as tf

    layer = OrthogonalConv2D(4, 3, 2, padding="circular", name="stage1")
    layer.build((None, None, None, 2))
    run = tf.function(
        layer, input_signature=[tf.TensorSpec((None, None, None, 2))], jit_compile=jit
    )
    np.testing.assert_allclose(
        run(np.ones((1, 4, 6, 2), "float32")), layer(np.ones((1, 4, 6, 2), "float32")), atol=1e-6
    )
    odd = np.ones((1, 4, 5, 2), "float32")
    if jit:  # XLA drops assertions; what comes out is no number.
        assert np.all(np.isnan(run(odd)))
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match="stage1"):
            run(odd)

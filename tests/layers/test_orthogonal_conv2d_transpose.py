"""OrthogonalConv2DTranspose: bound, isometry, and that it is the adjoint of the convolution."""

from __future__ import annotations

from typing import Any

import pytest

from deel_seg.layers import OrthogonalConv2DTranspose
from tests.layers.contract import functional, train
from tests.linear_map import exceeds, matrix_of, singular_values

CASES: dict[str, tuple[int, dict[str, Any]]] = {
    # channels in, arguments
    "patches": (8, {"filters": 2, "kernel_size": 2, "strides": 2}),
    "patches_more": (3, {"filters": 4, "kernel_size": (2, 3), "strides": (2, 3)}),
    "overlapping": (4, {"filters": 3, "kernel_size": 3, "strides": 2}),
    "overlapping_valid": (4, {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "valid"}),
    "stride_one": (4, {"filters": 2, "kernel_size": 3}),
    "few_out": (9, {"filters": 2, "kernel_size": 4, "strides": 2}),
    "one_in": (1, {"filters": 4, "kernel_size": 2, "strides": 2}),
}
ISOMETRIES = ("patches", "patches_more", "overlapping_valid", "one_in")


@pytest.mark.parametrize("name", CASES)
def test_norm_is_at_most_one(name: str) -> None:
    channels, arguments = CASES[name]
    layer = OrthogonalConv2DTranspose(**arguments)
    train(functional(layer, channels), (4, 4, channels))
    for shape in ((4, 4, channels), (3, 5, channels), (1, 2, channels)):
        for training in (False, True) if shape[0] == 4 else (False,):
            matrix = matrix_of(layer, shape, training=training)
            assert not exceeds(matrix, layer.lipschitz_constant)
            assert matrix.shape[0] == _size(layer.compute_output_shape((1, *shape)))
    if name in ISOMETRIES:
        # Within 1e-3, as is asked of the circular convolutions.
        assert singular_values(matrix)[-1] > 1 - 1e-3


def _size(shape: tuple[int, ...]) -> int:
    return int(shape[1] * shape[2] * shape[3])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_size": 1, "strides": 2}, r"kernel_size=\(1, 1\)"),
        ({"kernel_size": 2, "padding": "circular"}, "padding='circular'"),
        ({"kernel_size": 2, "filters": 1.5}, "filters=1.5"),
    ],
)
def test_arguments_are_refused_by_name_and_value(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OrthogonalConv2DTranspose(**{"filters": 4, **arguments})

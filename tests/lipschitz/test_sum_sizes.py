"""A branch that may be repeated has no bound: what is added has one shape for every image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

import deel_seg
from deel_seg.layers import (
    MaxMin,
    OrthogonalConv2D,
    OrthogonalConv2DTranspose,
    ScaledAdd,
    ScaledAveragePooling2D,
    ScaledConcatenate,
    SizeMultiple,
)
from deel_seg.lipschitz import UnknownLipschitzBound, certified_lipschitz_constant, lipschitz_bound

Graph = Callable[[Any], Any]


def network(graph: Graph, size: Any = (None, None), multiple: int = 1) -> Any:
    inputs = keras.Input((*size, 4))
    x = inputs if multiple == 1 else SizeMultiple(multiple)(inputs)
    return keras.Model(inputs, graph(x))


def down_and_up(x: Any) -> Any:
    x = OrthogonalConv2D(4, 3, strides=2)(x)
    return OrthogonalConv2DTranspose(4, 2, strides=2)(x)


BROADCASTING: dict[str, Graph] = {
    "add": lambda x: layers.Add()([x, layers.AveragePooling2D(2)(x)]),
    "operator": lambda x: x + layers.AveragePooling2D(4)(x),
    "subtract": lambda x: layers.Subtract()([x, layers.AveragePooling2D(3)(x)]),
    "average": lambda x: layers.Average()([x, layers.MaxPooling2D(4)(x)]),
    "maximum": lambda x: layers.Maximum()([layers.MaxPooling2D(4)(x), x]),
    "scaled": lambda x: ScaledAdd()([x, ScaledAveragePooling2D(4)(x)]),
    "learned": lambda x: ScaledAdd(learned=True)([x, ScaledAveragePooling2D(4)(x)]),
    "rows and columns": lambda x: layers.Add()([x, layers.Permute((2, 1, 3))(x)]),
    "one axis": lambda x: layers.Add()([x, layers.AveragePooling2D((4, 1))(x)]),
    "late": lambda x: layers.Add()([x, layers.AveragePooling2D(100)(x)]),
    "too late to be seen": lambda x: layers.Add()([x, layers.AveragePooling2D(300)(x)]),
    "nested": lambda x: keras.Model(
        inner := keras.Input((None, None, 4)),
        layers.Add()([inner, layers.AveragePooling2D(2)(inner)]),
    )(x),
}


@pytest.mark.parametrize("name", BROADCASTING)
@pytest.mark.parametrize("bound_of", [lipschitz_bound, certified_lipschitz_constant])
def test_what_may_be_repeated_is_refused(name: str, bound_of: Any) -> None:
    model = network(BROADCASTING[name])
    with pytest.raises(UnknownLipschitzBound, match=r"single pixel.*SizeMultiple"):
        bound_of(model)


def test_two_inputs_of_sizes_of_their_own_are_refused() -> None:
    one, other = keras.Input((None, None, 4)), keras.Input((None, None, 4))
    with pytest.raises(UnknownLipschitzBound, match="single pixel"):
        lipschitz_bound(keras.Model([one, other], layers.Add()([one, other])))


def test_the_bound_that_was_stated_did_not_hold() -> None:
    """Why it is refused: an image of 4x4, certified as what its branches give apart."""
    model = network(BROADCASTING["scaled"])
    image = np.zeros((1, 4, 4, 4), "float32")
    moved = image.copy()
    moved[..., 0] = 0.1
    change = ops.convert_to_numpy(model(moved)) - ops.convert_to_numpy(model(image))
    assert np.linalg.norm(change) > 2.0 * np.linalg.norm(moved - image)


ALIKE: dict[str, tuple[Graph, int, float]] = {
    "residual": (lambda x: ScaledAdd()([x, OrthogonalConv2D(4, 3)(x)]), 1, 1.0),
    "twice": (lambda x: layers.Add()([x, x]), 1, 2.0),
    "strided": (
        lambda x: layers.Add()(
            [OrthogonalConv2D(4, 3, strides=2)(x), OrthogonalConv2D(4, 5, strides=2)(x)]
        ),
        2,
        2.0,
    ),
    "strides of three": (
        lambda x: ScaledAdd()([down := OrthogonalConv2D(4, 3, strides=3)(x), MaxMin()(down)]),
        3,
        1.0,
    ),
    "skip": (lambda x: ScaledAdd()([x, down_and_up(x)]), 2, 1.0),
    "joined": (lambda x: ScaledConcatenate()([x, down_and_up(x)]), 1, 1.0),
}


@pytest.mark.parametrize("name", ALIKE)
def test_what_is_alike_for_every_size_has_a_bound(name: str) -> None:
    graph, multiple, expected = ALIKE[name]
    assert lipschitz_bound(network(graph, multiple=multiple)) == expected


def test_a_known_size_answers_for_itself() -> None:
    skip, _, expected = ALIKE["skip"]
    with pytest.raises(UnknownLipschitzBound, match="single pixel"):  # At 1x1 it is repeated.
        lipschitz_bound(network(skip))
    assert lipschitz_bound(network(skip, size=(8, 6))) == expected


@pytest.mark.parametrize("architecture", ["LipDeepLabV3", "LipUNet", "LipFCN"])
@pytest.mark.parametrize("config", ["S", "R"])
def test_named_networks_take_every_size(architecture: str, config: str) -> None:
    model = getattr(deel_seg, architecture)(config, num_classes=3)
    assert model.lipschitz_constant == 1.0

"""The mean over the image at every pixel, out of Keras' own layers."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from keras import layers

from deel_seg.lipschitz import UnknownLipschitzBound, lipschitz_bound
from tests.linear_map import exceeds, matrix_of

SHAPE = (4, 4, 2)


def model_of(zeros: Any, means: Any) -> keras.Model:
    image = keras.Input(SHAPE)
    return keras.Model(image, layers.Add()([zeros(image), means(image)]))


def test_the_mean_everywhere_is_a_projection() -> None:
    model = model_of(layers.Rescaling(0.0), layers.GlobalAveragePooling2D(keepdims=True))
    assert lipschitz_bound(model) == 1.0
    assert not exceeds(matrix_of(model, SHAPE), 1.0)


@pytest.mark.parametrize(
    "zeros",
    [
        lambda x: layers.Rescaling(1.0)(x),
        lambda x: layers.Rescaling(0.0, offset=1.0)(x),
        lambda x: layers.Rescaling(0.0)(layers.UpSampling2D(2)(x)),  # Spread over more pixels.
        lambda x: x,
    ],
)
def test_what_only_looks_like_it_has_no_bound(zeros: Any) -> None:
    with pytest.raises(UnknownLipschitzBound, match="of type Add"):
        lipschitz_bound(model_of(zeros, layers.GlobalAveragePooling2D(keepdims=True)))

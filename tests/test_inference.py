"""A compiled network takes images of any size, and gives what it gives uncompiled."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

import deel_seg
from deel_seg._inference import compiled_inference


@pytest.mark.one_backend
def test_images_of_any_size_without_another_trace() -> None:
    model = deel_seg.LipDeepLabV3({"widths": [8], "aspp_rates": [2]}, num_classes=3)
    network, traces = model.vanilla_export(), []
    counted = keras.Model(network.inputs, network.outputs)
    call = counted.call
    counted.call = lambda *args, **options: traces.append(1) or call(*args, **options)
    infer = compiled_inference(counted)
    generator = np.random.default_rng(0)
    # In this order TensorFlow frees one side of the image and keeps the other, if left to itself.
    for size in ((1, 6, 10), (1, 6, 10), (1, 6, 4), (1, 16, 8), (2, 10, 22), (1, 8, 8)):
        images = ops.convert_to_tensor(generator.random((*size, 3)).astype("float32"))
        expected = ops.convert_to_numpy(network(images, training=False))
        assert np.abs(ops.convert_to_numpy(infer(images)) - expected).max() < 1e-5  # float32
    if keras.backend.backend() == "tensorflow":
        assert len(traces) == 1


def test_weights_are_those_of_the_moment() -> None:
    inputs = keras.Input((None, None, 1))
    layer = keras.layers.Conv2D(1, 1, kernel_initializer="ones")
    infer = compiled_inference(keras.Model(inputs, layer(inputs)))
    ones = np.ones((1, 2, 2, 1), "float32")
    assert ops.convert_to_numpy(infer(ones)).ravel().tolist() == [1.0] * 4
    layer.bias.assign([2.0])
    assert ops.convert_to_numpy(infer(ones)).ravel().tolist() == [3.0] * 4


def test_a_subclassed_model_is_compiled_too() -> None:
    class Doubled(keras.Model):
        def call(self, inputs):  # type: ignore[no-untyped-def]
            return 2.0 * inputs

    infer = compiled_inference(Doubled())
    if keras.backend.backend() != "tensorflow":
        pytest.skip("JAX takes the weights of a model that was built")
    assert ops.convert_to_numpy(infer(np.ones((1, 2, 2, 1), "float32"))).max() == 2.0

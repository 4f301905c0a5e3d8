"""BatchCentering: what it subtracts in training and at inference, on one device and on two."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from deel_seg.layers import BatchCentering
from tests.layers.contract import functional, train
from tests.linear_map import call, exceeds, matrix_of

IMAGES = (np.random.default_rng(0).normal(size=(3, 4, 5, 2)) + 3.0).astype("float32")


@pytest.mark.parametrize("options", [{}, {"momentum": 0.0, "use_bias": False, "k_coef_lip": 0.7}])
def test_it_is_a_translation_at_inference(options: dict[str, Any], tmp_path: Path) -> None:
    layer = BatchCentering(**options)
    model = functional(layer, 2)
    call(layer, IMAGES, training=True)
    if layer.trainable_weights:
        train(model, (4, 5, 2))
    layer.moving_mean.assign([0.5, -2.0])
    # Impulses of 1 on a mean that float32 holds exactly: no rounding.
    layer.bias.assign([0.25, 1.0]) if layer.bias is not None else None
    matrix = matrix_of(model, (4, 5, 2))
    assert not exceeds(matrix, layer.lipschitz_constant)
    assert np.count_nonzero(matrix) == matrix.shape[0]
    copy = BatchCentering.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    model.save(tmp_path / "layer.keras")
    loaded = keras.saving.load_model(tmp_path / "layer.keras")
    np.testing.assert_array_equal(
        ops.convert_to_numpy(call(loaded, IMAGES)), ops.convert_to_numpy(call(model, IMAGES))
    )


def test_it_subtracts_the_batch_mean_in_training() -> None:
    layer = BatchCentering(momentum=0.6)
    means = []
    for factor in (1.0, -2.0, 4.0, 0.5):
        batch = np.float32(factor) * IMAGES
        mean = batch.mean(axis=(0, 1, 2), dtype="float64")
        outputs = ops.convert_to_numpy(layer(batch, training=True))
        # Float32 means of 60 values near 3, times four.
        np.testing.assert_allclose(outputs, batch - mean, atol=1e-5)
        means.append(mean)
    # The plain mean of the first two batches, from then on (1 / (1 - 0.6) = 2.5) the moving one.
    expected = 0.6 * (0.6 * (means[0] + means[1]) / 2 + 0.4 * means[2]) + 0.4 * means[3]
    np.testing.assert_allclose(ops.convert_to_numpy(layer.moving_mean), expected, atol=1e-5)
    # Inference subtracts the moving mean: no gradient, no dependence on the batch.
    np.testing.assert_allclose(ops.convert_to_numpy(layer(IMAGES)), IMAGES - expected, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_keeps_its_variables_in_float32(policy: str) -> None:
    layer = BatchCentering(dtype=policy)
    outputs = layer(IMAGES, training=True)
    assert keras.backend.standardize_dtype(outputs.dtype) == policy.removeprefix("mixed_")
    assert {variable.dtype for variable in layer.variables} == {"float32"}
    # The mean is taken in float32, of images rounded to 8 bits.
    expected = IMAGES.mean(axis=(0, 1, 2))
    np.testing.assert_allclose(ops.convert_to_numpy(layer.moving_mean), expected, atol=2e-3)


def test_momentum_is_checked() -> None:
    with pytest.raises(ValueError, match=r"`momentum`.*momentum=1\.0"):
        BatchCentering(momentum=1.0)


REPLICAS = """
import keras, numpy as np, tensorflow as tf
from deel_seg.layers import BatchCentering, OrthogonalConv2D

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
images = np.random.default_rng(0).normal(size=(6, 4, 4, 3)).astype("float32") + 2.0
# Halves of different means: what each replica sees is not what both see.
images[:3] += 5.0

def trained(strategy):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        image = keras.Input((None, None, 3))
        x = BatchCentering()(OrthogonalConv2D(3, 3)(image))
        model = keras.Model(image, x)
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    model.fit(images, 0.1 * images, batch_size=6, epochs=2, shuffle=False, verbose=0)
    return [np.array(weight) for weight in model.get_weights()]

one = trained(tf.distribute.OneDeviceStrategy("CPU:0"))
two = trained(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
print(max(float(np.max(np.abs(a - b))) for a, b in zip(one, two)), float(np.max(np.abs(one[-1]))))
"""


# Beside tests/distributed, where a network with it trains on two devices.
@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.distribute is TensorFlow's")
def test_two_devices_agree_with_one() -> None:
    result = subprocess.run(
        [sys.executable, "-c", REPLICAS],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    difference, size = map(float, result.stdout.split())
    # Float32 sums in another order, over two epochs.
    assert difference < 1e-5
    assert size > 0.1

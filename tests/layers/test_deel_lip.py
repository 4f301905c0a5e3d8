"""deel-lip beside us: its contracts are ours, its callback and layers work in our models."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

if keras.backend.backend() != "tensorflow":
    pytest.skip("deel-lip runs on TensorFlow only", allow_module_level=True)

from deel.lip import layers as lip
from deel.lip.callbacks import CondenseCallback
from deel.lip.layers.base_layer import Condensable
from deel.lip.layers.base_layer import LipschitzLayer as DeelLipLayer
from deel.lip.layers.unconstrained import PadConv2D

import deel_seg
from deel_seg import layers
from deel_seg.lipschitz import UnknownLipschitzBound, lipschitz_bound
from tests.layers.contract import functional, train
from tests.linear_map import exceeds, matrix_of

SHAPE = (4, 6, 4)


def test_our_layers_are_deel_lips() -> None:
    for layer in (
        layers.OrthogonalConv2D(4, 3), layers.OrthogonalConv2DTranspose(4, 2, 2),
        layers.BatchCentering(),
    ):  # fmt: skip
        assert isinstance(layer, DeelLipLayer)
        assert isinstance(layer, Condensable)
    for layer in (layers.MaxMin(), layers.ScaledAdd(), layers.RMSScaling(2, 3)):
        assert isinstance(layer, DeelLipLayer)


@pytest.mark.parametrize("make", [
    lambda: layers.OrthogonalConv2D(6, 3, 2),
    lambda: layers.OrthogonalConv2DTranspose(3, 2, 2),
    lambda: layers.BatchCentering(),
    lambda: layers.RMSScaling(2, 3),
])  # fmt: skip
def test_factor_scales_output_and_bound(make: Any) -> None:
    layer = make()
    model = functional(layer, SHAPE[-1])
    if isinstance(layer, layers.OrthogonalConv2D):
        train(model, SHAPE)
    images = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype("float32")
    before, constant = ops.convert_to_numpy(model(images)), layer.lipschitz_constant
    layer.set_klip_factor(0.25)
    assert layer._get_coef() == 0.25
    assert layer.lipschitz_constant == 0.25 * constant
    # One more rounding, where a layer has a factor of its own.
    np.testing.assert_allclose(ops.convert_to_numpy(model(images)), 0.25 * before, rtol=1e-6)
    assert not exceeds(matrix_of(model, SHAPE), layer.lipschitz_constant)
    with pytest.raises(ValueError, match="k_coef_lip=0"):
        layer.set_klip_factor(0)


@pytest.mark.parametrize("make", [
    lambda: layers.OrthogonalConv2D(6, 3, 2),
    lambda: layers.OrthogonalConv2D(6, 3, padding="valid", groups=2, k_coef_lip=0.3),
    lambda: layers.OrthogonalConv2D(6, (3, 2), dilation_rate=2, use_bias=False),
    lambda: layers.OrthogonalConv2DTranspose(3, 3, 2, k_coef_lip=3.0),
    lambda: layers.OrthogonalConv2DTranspose(3, 2, 2, "valid", use_bias=False),
    lambda: layers.BatchCentering(k_coef_lip=2.0),
    lambda: layers.BatchCentering(use_bias=False),
])  # fmt: skip
def test_vanilla_export_of_a_layer(make: Any) -> None:
    layer = make()
    model = functional(layer, SHAPE[-1])
    if layer.trainable_weights:
        train(model, SHAPE)
    else:
        layer.moving_mean.assign([1.0, -2.0, 3.0, 0.5])
    plain = layer.vanilla_export()
    assert type(plain).__module__.startswith("keras.")
    images = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype("float32")
    # The factor is multiplied into kernel and bias: another order of float32 products.
    np.testing.assert_allclose(
        ops.convert_to_numpy(plain(images)), ops.convert_to_numpy(model(images)), atol=5e-6
    )


def test_circular_layers_have_no_plain_form() -> None:
    layer = layers.OrthogonalConv2D(4, 3, padding="circular", name="ring")
    layer.build((None, None, None, 4))
    with pytest.raises(ValueError, match=r"'ring'.*padding='circular'"):
        layer.vanilla_export()


def test_condense_callback_runs_in_fit() -> None:
    layer = layers.OrthogonalConv2D(4, 3)
    image = keras.Input((None, None, 4))
    model = deel_seg.LipschitzModel(image, layers.BatchCentering()(layer(image)))
    model.compile("adam", "mse", jit_compile=False)
    images = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype("float32")
    model.fit(images, images, verbose=0, callbacks=[CondenseCallback(on_epoch=True)])
    for factor in ("projectors",):
        kept = ops.convert_to_numpy(getattr(layer, f"{factor}_of_kernel"))
        np.testing.assert_array_equal(kept, ops.convert_to_numpy(getattr(layer, factor)))
    assert np.max(np.abs(ops.convert_to_numpy(layer.kernel))) > 0.0


LAYERS: dict[str, Any] = {
    "average": lambda: lip.ScaledAveragePooling2D((2, 2), k_coef_lip=0.5),
    "l2": lambda: lip.ScaledL2NormPooling2D((2, 2)),
    "global_average": lambda: lip.ScaledGlobalAveragePooling2D(),
    "global_l2": lambda: lip.ScaledGlobalL2NormPooling2D(),
    "group_sort": lambda: lip.GroupSort2(),
    "full_sort": lambda: lip.FullSort(),
    "down": lambda: lip.InvertibleDownSampling((2, 2)),
    "up": lambda: lip.InvertibleUpSampling((2, 2)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_deel_lips_layers_have_a_bound(name: str) -> None:
    image = keras.Input(SHAPE)
    model = deel_seg.LipschitzModel(image, LAYERS[name]()(image))
    assert model.lipschitz_constant == (0.5 if name == "average" else 1.0)
    pairs = np.random.default_rng(0).normal(size=(2, 50, *SHAPE)).astype("float32")
    first, second = (ops.convert_to_numpy(model(part)).reshape(50, -1) for part in pairs)
    distance = np.linalg.norm((pairs[0] - pairs[1]).reshape(50, -1).astype("float64"), axis=1)
    moved = np.linalg.norm((first - second).astype("float64"), axis=1)
    # Differences of float32 outputs.
    assert np.all(moved <= model.lipschitz_constant * distance * (1 + 1e-6))


def test_deel_lips_other_layers_are_refused_by_name() -> None:
    image = keras.Input(SHAPE)
    outputs = PadConv2D(4, 3, name="culprit")(image)
    with pytest.raises(UnknownLipschitzBound, match="'culprit' of type PadConv2D"):
        lipschitz_bound(keras.Model(image, outputs))

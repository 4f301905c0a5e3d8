"""The plain network: the same logits, Keras' own layers only, no better constant."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops

import deel_seg
from deel_seg.layers import (
    BatchCentering,
    MaxMin,
    OrthogonalConv2D,
    OrthogonalConv2DTranspose,
)
from deel_seg.lipschitz import certified_lipschitz_constant
from deel_seg.vanilla import convolutions
from tests.linear_map import call
from tests.vanilla.networks import IMAGES, NETWORKS, move_weights, network, relative_difference

SAME = 1e-5  # What is promised: factors and shifts are added and multiplied in another order.


@pytest.mark.parametrize("name", NETWORKS)
def test_same_logits_from_keras_layers(name: str) -> None:
    model = network(name)
    plain = model.vanilla_export()
    assert relative_difference(call(plain, IMAGES), call(model, IMAGES)) < SAME
    modules = {type(operation).__module__.split(".")[0] for operation in plain._operations}
    assert modules == {"keras"}
    own = {type(layer) for layer in plain.layers}
    assert not own & {layers.Lambda, keras.Model}


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"norms"}))
def test_its_weights_prove_no_better_constant_than_it_keeps(name: str) -> None:
    model = network(name)
    assert certified_lipschitz_constant(model.vanilla_export()) <= model.proved_constant()


@pytest.mark.parametrize(
    "model",
    [
        lambda: deel_seg.LipDeepLabV3(TINY, 3),
        lambda: deel_seg.LipDeepLabV3(
            TINY, 1, activation="group_sort", rms_scaling=True, input_std=[0.2, 0.3, 0.4]
        ),
        lambda: deel_seg.LipUNet({"widths": [8, 8], "block": "residual"}, 3, rms_scaling=True),
        lambda: deel_seg.LipFCN({"widths": [8, 8], "convolutions": 1}, 3, lipschitz_constant=2.0),
    ],
)
def test_architectures(model) -> None:  # type: ignore[no-untyped-def]
    model = model()
    move_weights(model)
    plain = model.vanilla_export()
    assert relative_difference(call(plain, IMAGES), call(model, IMAGES)) < SAME
    assert certified_lipschitz_constant(plain) <= model.lipschitz_constant


TINY = {"widths": [8, 16], "convolutions": 2, "aspp_rates": [2], "image_level": True}


def test_a_shift_is_not_taken_across_a_border(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros around an image stay zero when its pixels are shifted: the check can fail."""
    model = network("centered_before_a_border")
    monkeypatch.setattr(convolutions, "_has_no_border", lambda layer: True)
    assert relative_difference(call(model.vanilla_export(), IMAGES), call(model, IMAGES)) > 0.01


def test_convolution_and_centering_become_one_layer() -> None:
    image = keras.Input((None, None, 3))
    x = BatchCentering()(OrthogonalConv2D(8, 3, use_bias=False)(image))
    model = deel_seg.LipschitzModel(image, x)
    move_weights(model)
    plain = model.vanilla_export()
    assert [type(layer) for layer in plain.layers] == [layers.InputLayer, layers.Conv2D]
    np.testing.assert_array_equal(
        ops.convert_to_numpy(plain.layers[1].kernel),
        ops.convert_to_numpy(model.layers[1].effective_kernel()),
    )


def test_of_a_shift_after_sorting_one_half_is_left_to_a_layer() -> None:
    """The convolution before it does the rest, and one without a border after it, all of it."""
    image = keras.Input((None, None, 3))
    for kernel_size, left in ((3, [(None, None, None, 4)]), (1, [])):
        x = BatchCentering()(MaxMin()(OrthogonalConv2D(8, 3)(image)))
        model = deel_seg.LipschitzModel(image, OrthogonalConv2D(4, kernel_size)(x))
        move_weights(model)
        plain = model.vanilla_export()
        shifts = [layer for layer in plain.layers if isinstance(layer, layers.Rescaling)]
        assert [layer.output.shape for layer in shifts] == left
        assert relative_difference(call(plain, IMAGES), call(model, IMAGES)) < SAME


def test_a_transposed_convolution_gets_no_bias_for_a_shift_after_sorting() -> None:
    """It would be added to each half in a pass of its own; the pairs are shifted together."""
    image = keras.Input((None, None, 3))
    for use_bias, left in ((False, [(None, None, None, 8)]), (True, [(None, None, None, 4)])):
        x = OrthogonalConv2DTranspose(8, 2, 2, use_bias=use_bias)(image)
        model = deel_seg.LipschitzModel(
            image, OrthogonalConv2D(4, 3)(BatchCentering()(MaxMin()(x)))
        )
        move_weights(model)
        plain = model.vanilla_export()
        halves = [layer for layer in plain.layers if isinstance(layer, layers.Conv2DTranspose)]
        assert [layer.use_bias for layer in halves] == [use_bias, use_bias]
        shifts = [layer for layer in plain.layers if isinstance(layer, layers.Rescaling)]
        assert [layer.output.shape for layer in shifts] == left
        assert relative_difference(call(plain, IMAGES), call(model, IMAGES)) < SAME


def test_layers_keep_their_names() -> None:
    plain = deel_seg.LipDeepLabV3(TINY, 3).vanilla_export()
    assert isinstance(plain.get_layer("classifier_conv"), layers.Conv2D)
    # What a pair is sorted from comes from two convolutions, one for each of its values.
    for part in ("first", "second"):
        assert isinstance(plain.get_layer(f"encoder1_1_conv_{part}"), layers.Conv2D)
        assert isinstance(plain.get_layer(f"decoder_up1_conv_{part}"), layers.Conv2DTranspose)


def test_pairs_are_not_cut_out_of_what_a_convolution_can_give_apart() -> None:
    plain = deel_seg.LipDeepLabV3(TINY, 3).vanilla_export()
    assert layers.Cropping2D not in set(map(type, plain.layers))
    # Groups take different channels, and what sorted them before is no convolution.
    for name in ("grouped_then_interleaved", "pairs_that_interleave"):
        assert layers.Cropping2D in set(map(type, network(name).vanilla_export().layers))


def test_two_names_of_a_model_do_not_collide_with_those_of_the_halves() -> None:
    image = keras.Input((None, None, 3))
    x = MaxMin()(OrthogonalConv2D(4, 3, name="conv")(image))
    x = MaxMin()(OrthogonalConv2D(4, 3, name="conv_first")(x))
    model = deel_seg.LipschitzModel(image, x)
    assert relative_difference(call(model.vanilla_export(), IMAGES), call(model, IMAGES)) < SAME


def test_a_kernel_above_its_bound_is_divided() -> None:
    model = network("centered_before_a_border")
    model.condense()
    first = next(layer for layer in model.layers if isinstance(layer, OrthogonalConv2D))
    first.kernel.assign(1.5 * first.kernel)
    assert certified_lipschitz_constant(model) > 1.4
    # Copied with the excess, the plain network would be as far above it.
    assert certified_lipschitz_constant(model.vanilla_export()) <= 1.0
    assert certified_lipschitz_constant(model) <= model.lipschitz_constant == 1.0


def test_what_has_no_plain_form_is_named() -> None:
    image = keras.Input((8, 8, 3))
    for layer in (OrthogonalConv2D(4, 3, padding="circular"), layers.Lambda(lambda x: x)):
        model = deel_seg.LipschitzModel(image, layer(image))
        with pytest.raises(ValueError, match=f"'{layer.name}'"):
            model.vanilla_export()
    flat = keras.Input((4,))
    layer = MaxMin()
    with pytest.raises(ValueError, match="for images only"):
        deel_seg.LipschitzModel(flat, layer(flat)).vanilla_export()
    centering = BatchCentering()
    with pytest.raises(ValueError, match="training=True"):
        deel_seg.LipschitzModel(image, centering(image, training=True)).vanilla_export()


CHILD = """
import sys
sys.modules["deel_seg"] = sys.modules["deel"] = None  # As if they were not installed.
import json, keras, numpy as np
folder = sys.argv[1]
model = keras.saving.load_model(folder + "/plain.keras")
images = np.load(folder + "/images.npy")
np.save(folder + "/logits.npy", keras.ops.convert_to_numpy(model(images)))
model.compile("sgd", "mse")
before = [weight.copy() for weight in model.get_weights()]
model.fit(images, np.zeros(model.compute_output_shape(images.shape), "float32"), verbose=0)
moved = any((a != b).any() for a, b in zip(before, model.get_weights()))
model.save(folder + "/trained.keras")
again = keras.saving.load_model(folder + "/trained.keras")
both = [keras.ops.convert_to_numpy(each(images)) for each in (again, model)]
same = bool((both[0] == both[1]).all())
print(json.dumps({"moved": bool(moved), "same": same}))
"""


@pytest.mark.one_backend
def test_loads_and_trains_where_the_library_is_not(tmp_path: Path) -> None:
    model = deel_seg.LipDeepLabV3(TINY, 3, activation="group_sort", rms_scaling=True)
    move_weights(model)
    model.vanilla_export().save(tmp_path / "plain.keras")
    np.save(tmp_path / "images.npy", IMAGES)
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    # In a folder of its own: the library is not to be found beside it either.
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {"moved": True, "same": True}
    assert relative_difference(np.load(tmp_path / "logits.npy"), call(model, IMAGES)) < SAME

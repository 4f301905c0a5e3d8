"""The networks: their constants, their bound seen from outside, files, sizes, arguments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import deel_seg
from deel_seg.lipschitz import lipschitz_bound
from deel_seg.models import DEEPLAB_V3_CONFIGS, DeepLabV3Config, EncoderConfig
from tests.layers.contract import train
from tests.linear_map import call
from tests.models.largest_slope import largest_slope

TINY: dict[str, Any] = {"widths": (4, 8), "convolutions": 1}
RESIDUAL: dict[str, Any] = {
    "widths": (4, 8), "block": "residual", "residual_blocks": 1, "dilations": (1, 2)
}  # fmt: skip
FAMILIES = {
    "deeplab": (deel_seg.LipDeepLabV3, deel_seg.DeepLabV3),
    "unet": (deel_seg.LipUNet, deel_seg.UNet),
    "fcn": (deel_seg.LipFCN, deel_seg.FCN),
}
SHAPE = (8, 12, 3)
CONSTANTS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("deeplab", TINY, {}),
    ("deeplab", RESIDUAL, {"rms_scaling": True, "lipschitz_constant": 0.3}),
    ("deeplab", TINY, {"padding": "circular", "activation": "group_sort"}),
    ("unet", TINY, {"lipschitz_constant": 2.5}),
    ("unet", RESIDUAL, {"input_mean": [0.4, 0.5, 0.6], "input_std": [0.225, 0.3, 0.41]}),
    ("fcn", TINY, {"rms_scaling": True, "lipschitz_constant": 2.5}),
]


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(size=shape).astype("float32")


@pytest.mark.parametrize(("family", "config", "options"), CONSTANTS)
def test_constant_is_exact_and_not_exceeded(
    family: str, config: dict[str, Any], options: dict[str, Any]
) -> None:
    model = FAMILIES[family][0](config, 5, **options)
    expected = options.get("lipschitz_constant", 1.0)
    assert model.lipschitz_constant == pytest.approx(expected, rel=1e-12)
    if not options or options == {"lipschitz_constant": 2.5}:
        assert model.lipschitz_constant == expected
    train(model, SHAPE, steps=2)
    assert model.lipschitz_constant == pytest.approx(expected, rel=1e-12)
    slope = largest_slope(model, SHAPE)
    assert slope <= model.lipschitz_constant
    if "padding" in options:
        # No check that a network of no slope at all would pass.
        assert slope > 0.1 * model.lipschitz_constant


def test_named_configs_are_the_papers() -> None:
    paper = {"S": (3, 3), "M1": (5, 3), "M2": (5, 4), "L": (7, 4), "XL": (5, 5), "R": (3, 3)}
    sizes = {
        name: (config.convolutions, len(config.widths))
        for name, config in DEEPLAB_V3_CONFIGS.items()
    }
    assert sizes == paper


@pytest.mark.parametrize(
    "name", ["S", *[pytest.param(name, marks=pytest.mark.slow) for name in ("R", "M1", "M2", "L")]]
)
def test_bound_of_the_named_configs_after_training(name: str) -> None:
    model = deel_seg.LipDeepLabV3(name, 4)
    assert model.lipschitz_constant == 1.0
    train(model, (32, 32, 3), steps=2)
    assert largest_slope(model, (32, 32, 3)) <= model.lipschitz_constant
    assert tuple(call(model, images(1, 16, 32, 3)).shape) == (1, 16, 32, 4)


@pytest.mark.slow
def test_the_largest_config_has_a_bound() -> None:
    assert deel_seg.LipDeepLabV3("XL", 4).lipschitz_constant == 1.0


def test_the_check_catches_a_network_with_one_broken_layer(monkeypatch: Any) -> None:
    from deel_seg.layers import OrthogonalConv2D

    model = deel_seg.LipFCN(TINY, 5, padding="circular")
    sound = OrthogonalConv2D.effective_kernel
    monkeypatch.setattr(
        OrthogonalConv2D, "effective_kernel", lambda self, training=False: 2.0 * sound(self)
    )
    assert largest_slope(model, SHAPE) > model.lipschitz_constant


def test_rms_gain_can_be_kept() -> None:
    model = deel_seg.LipFCN(TINY, 5, rms_scaling=True, keep_rms_gain=True)
    # The factors telescope to sqrt(K / 3).
    assert model.lipschitz_constant == pytest.approx((5 / 3) ** 0.5, rel=1e-12)
    assert largest_slope(model, SHAPE) <= model.lipschitz_constant
    options = {"rms_scaling": True, "keep_rms_gain": True, "lipschitz_constant": 2.0}
    scaled = deel_seg.LipFCN(TINY, 5, **options)
    assert scaled.lipschitz_constant == pytest.approx(2 * (5 / 3) ** 0.5, rel=1e-12)
    # Nothing undoes that the pyramid's concatenation of four divides by sqrt(4).
    pyramid = deel_seg.LipDeepLabV3(TINY, 5, **options)
    assert pyramid.lipschitz_constant == pytest.approx((5 / 3) ** 0.5, rel=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_plain_twin_has_the_same_layout(family: str) -> None:
    lipschitz, plain = (kind(RESIDUAL, 5) for kind in FAMILIES[family])
    assert lipschitz.output_shape == plain.output_shape == (None, None, None, 5)
    names = [{layer.name for layer in model.layers} for model in (lipschitz, plain)]
    assert {name for name in names[0] if name.endswith("_conv")} == {
        name for name in names[1] if name.endswith("_conv")
    }
    assert tuple(call(plain, images(2, *SHAPE)).shape) == (2, 8, 12, 5)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("member", [0, 1])
def test_file_round_trip_under_another_policy(family: str, member: int, tmp_path: Path) -> None:
    options = {"input_std": [0.2, 0.3, 0.4]}
    model = FAMILIES[family][member](TINY, 5, name="mine", **options)
    model.summary(print_fn=lambda *args, **kwargs: None)
    model.save(tmp_path / "model.keras")
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        loaded = keras.saving.load_model(tmp_path / "model.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    assert type(loaded) is type(model)
    assert loaded.get_config() == model.get_config()
    expected = ops.convert_to_numpy(call(model, images(2, *SHAPE)))
    copies = [loaded, type(model).from_config(model.get_config()), keras.models.clone_model(model)]
    for copy in copies:
        copy.set_weights(model.get_weights())
        outputs = ops.convert_to_numpy(call(copy, images(2, *SHAPE)))
        np.testing.assert_array_equal(outputs, expected)
        if member == 0:
            # Keras clones a model with a `get_config` of its own as a plain functional one.
            assert lipschitz_bound(copy) == model.lipschitz_constant


@pytest.mark.slow
def test_compiled_file_round_trip(tmp_path: Path) -> None:
    from deel_seg.certificates import CRPA

    model = deel_seg.LipFCN(TINY, 5, lipschitz_constant=2.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=[CRPA(eps=0.1)])
    model.save(tmp_path / "model.keras")
    labels = np.zeros((2, *SHAPE[:2]), "int32")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    values = [each.evaluate(images(2, *SHAPE), labels, verbose=0) for each in (model, loaded)]
    assert values[0] == values[1]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_keeps_its_weights_in_float32(policy: str) -> None:
    model = deel_seg.LipFCN(TINY, 5, dtype=policy)
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    train(model, SHAPE, steps=1, optimizer=keras.optimizers.Adam(0.01))
    assert np.all(
        np.isfinite(ops.convert_to_numpy(ops.cast(call(model, images(1, *SHAPE)), "float32")))
    )


def test_sizes_that_strides_do_not_divide() -> None:
    model = deel_seg.LipDeepLabV3("S", 4)
    with pytest.raises(ValueError, match=r"multiples of 8: pad.*\(16, 24\)"):
        model(images(1, 15, 24, 3))
    with pytest.raises(ValueError, match=r"multiples of 8: pad.*\(16, 16\)"):
        deel_seg.LipDeepLabV3("S", 4, input_shape=(15, 10, 3))


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="sizes are static on JAX")
@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("padding", ["same", "circular"])
def test_unknown_sizes_are_refused_when_they_show(jit: bool, padding: str) -> None:
    import tensorflow as tf

    model = deel_seg.LipFCN(TINY, 4, padding=padding)
    run = tf.function(
        model, input_signature=[tf.TensorSpec((None, None, None, 3))], jit_compile=jit
    )
    assert run(images(1, 8, 4, 3)).shape == (1, 8, 4, 4)
    if jit:  # XLA drops assertions; what comes out is no number.
        assert np.all(np.isnan(run(images(1, 8, 6, 3))))
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match="multiples of 4: pad"):
            run(images(1, 8, 6, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: deel_seg.LipDeepLabV3("T", 4), "`config`.*config='T'"),
        (lambda: deel_seg.LipDeepLabV3({"width": 3}, 4), "`config` has no entry.*width"),
        (lambda: deel_seg.LipDeepLabV3(7, 4), "`config`.*config=7"),
        (lambda: deel_seg.LipUNet("S", 0), "`num_classes`.*num_classes=0"),
        (lambda: deel_seg.LipFCN("S", 4, lipschitz_constant=0), "lipschitz_constant=0"),
        (lambda: deel_seg.LipFCN("S", 4, padding="reflect"), "padding='reflect'"),
        (lambda: deel_seg.LipFCN("S", 4, activation="relu"), "activation='relu'"),
        (lambda: deel_seg.LipFCN("S", 4, input_shape=(None, None, None)), "`input_shape`"),
        (lambda: deel_seg.LipFCN("S", 4, input_std=[0.1]), r"input_std=\[0.1\]"),
        (lambda: deel_seg.LipFCN("S", 4, input_std=[0.1, 0, 1]), "`input_std` must be positive"),
        (lambda: deel_seg.FCN("S", 4, input_mean=[0.1]), r"input_mean=\[0.1\]"),
        (lambda: EncoderConfig(widths=(3,)), r"widths=\(3,\)"),
        (lambda: EncoderConfig(widths=()), r"widths=\(\)"),
        (lambda: EncoderConfig(dilations=(2,)), r"dilations=\(2,\)"),
        (lambda: EncoderConfig(branch_weight=1.0), "branch_weight=1.0"),
        (lambda: EncoderConfig(convolutions=0), "convolutions=0"),
        (lambda: DeepLabV3Config(aspp_rates=(0,)), "aspp_rates=0"),
        (lambda: DeepLabV3Config(decoder_widths=(2,)), r"decoder_widths=\(2,\)"),
        (lambda: DeepLabV3Config(widths=(2, 2)), "decoder_widths"),
    ],
)
def test_arguments_are_refused_by_name_and_value(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_configs_and_mappings_are_the_same_thing() -> None:
    config = DeepLabV3Config(**TINY, image_level=True, decoder_widths=(6, 4), aspp_rates=(2,))
    models = [deel_seg.LipDeepLabV3(each, 3) for each in (config, config.to_dict())]
    assert models[0].get_config()["config"] == models[1].get_config()["config"]
    assert models[0].count_params() == models[1].count_params()
    assert models[0].lipschitz_constant == 1.0
    assert largest_slope(models[0], SHAPE) <= 1.0

"""Every layer keeps the contract."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deel_seg import layers
from tests.layers.contract import assert_layer_contract

SHAPES = [(6, 4, 4), (8, 2, 4)]
ODD = [*SHAPES, (5, 3, 4)]

LINEAR: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "conv": (functools.partial(layers.OrthogonalConv2D, 6, 3), {"shapes": ODD}),
    "conv_circular": (
        functools.partial(layers.OrthogonalConv2D, 6, 3, 2, "circular"),
        {"shapes": SHAPES},
    ),
    "conv_scaled": (
        functools.partial(layers.OrthogonalConv2D, 4, 1, k_coef_lip=0.3),
        {"shapes": ODD},
    ),
    "transpose": (functools.partial(layers.OrthogonalConv2DTranspose, 2, 2, 2), {"shapes": ODD}),
    "transpose_k3": (
        functools.partial(layers.OrthogonalConv2DTranspose, 3, 3, 2, k_coef_lip=1.7),
        {"shapes": ODD},
    ),
    "rms_scaling": (functools.partial(layers.RMSScaling, 3, 8), {"shapes": ODD}),
    "constant_scaling": (functools.partial(layers.ConstantScaling, 0.1), {"shapes": ODD}),
    "scaled_add_3": (layers.ScaledAdd, {"shapes": ODD, "branches": 3}),
    "scaled_add_learned": (
        functools.partial(layers.ScaledAdd, learned=True, initial_weights=[0.5, 3.0, 1.0]),
        {"shapes": ODD, "branches": 3},
    ),
    "scaled_concatenate_2": (layers.ScaledConcatenate, {"shapes": ODD, "branches": 2}),
    "scaled_concatenate_3": (
        functools.partial(layers.ScaledConcatenate, k_coef_lip=0.7),
        {"shapes": ODD, "branches": 3},
    ),
    "average_pooling_2x2": (layers.ScaledAveragePooling2D, {"shapes": ODD, "impulse": 4.0}),
    "average_pooling_3x2": (
        functools.partial(layers.ScaledAveragePooling2D, (3, 2)),
        {"shapes": ODD, "impulse": 6.0},
    ),
    "image_level": (layers.ImageLevelPooling, {"shapes": [(6, 4, 2)], "impulse": 24.0}),
    "space_to_depth": (layers.SpaceToDepth, {"shapes": SHAPES}),
    "depth_to_space": (layers.DepthToSpace, {"shapes": ODD}),
    "size_multiple": (functools.partial(layers.SizeMultiple, 2), {"shapes": SHAPES}),
}

NONLINEAR: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "group_sort": (layers.GroupSort2, {"shapes": ODD}),
    "max_min": (functools.partial(layers.MaxMin, k_coef_lip=0.9), {"shapes": ODD}),
    # Its Jacobian holds x / |x|, rounded: norms have a test of their own.
}


@pytest.mark.parametrize("name", LINEAR)
def test_linear_layer(name: str, tmp_path: Path) -> None:
    make, options = LINEAR[name]
    assert_layer_contract(make, folder=tmp_path, **options)


@pytest.mark.parametrize("name", NONLINEAR)
def test_sorting_layer(name: str, tmp_path: Path) -> None:
    make, options = NONLINEAR[name]
    assert_layer_contract(make, folder=tmp_path, linear=False, **options)


class Broken(layers.OrthogonalConv2D):
    """Its kernel is scaled by 1.01."""

    def effective_kernel(self, training: bool | None = False) -> Any:
        return 1.01 * super().effective_kernel(training)


def test_the_harness_catches_a_kernel_scaled_by_one_percent(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="fresh"):
        assert_layer_contract(functools.partial(Broken, 4, 1), ODD, tmp_path)


class Forgetful(layers.RMSScaling):
    """Rounds its factor up instead of down."""

    def call(self, inputs: Any) -> Any:
        return inputs * (self.factor * (1 + 2.0**-23))


def test_the_harness_has_no_slack(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="fresh"):
        assert_layer_contract(functools.partial(Forgetful, 3, 8), ODD, tmp_path)


class Nameless(layers.ConstantScaling):
    """Loses its factor in the config."""

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": 0.25}


def test_the_harness_catches_a_config_that_loses_a_value(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        assert_layer_contract(functools.partial(Nameless, 0.5), ODD, tmp_path)

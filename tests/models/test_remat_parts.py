"""Training that computes parts of the network twice: the same training, in less memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import deel_seg
from deel_seg.layers import MaxMin, OrthogonalConv2D, kernels_together
from deel_seg.losses import TemperatureCrossentropy
from deel_seg.models import remat_parts
from deel_seg.models.graph_parts import GraphPart, cut_graph

CONFIG = {"widths": [4, 8], "convolutions": 3}
GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.random((4, 16, 16, 3), dtype="float32")
LABELS = GENERATOR.integers(0, 3, (4, 16, 16))


def fcn() -> keras.Model:
    return deel_seg.LipFCN(CONFIG, 3)


def with_noise() -> keras.Model:
    """A network with random layers, a branch over the cuts and a nested model."""
    inputs = keras.Input((16, 16, 3))
    x = MaxMin()(OrthogonalConv2D(8, 3)(inputs))
    branch = x
    x = keras.layers.Dropout(0.5)(x)
    between = keras.Input((16, 16, 8))
    x = deel_seg.LipschitzModel(between, MaxMin()(OrthogonalConv2D(8, 3)(between)))(x)
    x = keras.layers.GaussianNoise(0.1)(deel_seg.layers.ScaledAdd()([x, branch]))
    x = deel_seg.layers.BatchCentering()(x)
    return deel_seg.LipschitzModel(inputs, OrthogonalConv2D(3, 1)(x))


def trained(parts: int, build: Any = fcn) -> dict[str, np.ndarray]:
    """Everything that a training of four steps leaves."""
    keras.utils.set_random_seed(0)
    model = build()
    model.compile(keras.optimizers.SGD(0.5), TemperatureCrossentropy(5.0))
    model.remat_parts = parts
    history = model.fit(IMAGES, LABELS, batch_size=2, epochs=2, shuffle=False, verbose=0)
    left = {variable.path: ops.convert_to_numpy(variable) for variable in model.variables}
    return {**left, "loss": np.asarray(history.history["loss"])}


def largest_difference(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> float:
    pairs = zip(first.values(), second.values(), strict=True)
    return max(float(np.max(np.abs(np.subtract(a, b, dtype="float64")))) for a, b in pairs)


@pytest.mark.slow
@pytest.mark.parametrize("build", [fcn, with_noise])
def test_training_is_the_same(build: Any) -> None:
    whole, in_parts = trained(1, build), trained(4, build)
    assert largest_difference(whole, in_parts) < 1e-5
    assert abs(whole["loss"][-1] - whole["loss"][0]) > 1e-3


@pytest.mark.slow
def test_training_is_the_same_in_half_precision() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert largest_difference(trained(1), trained(3)) < 1e-3
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.slow
def test_a_part_without_its_kernels_gradient_is_noticed(monkeypatch: Any) -> None:
    whole = trained(1)

    def without_gradient(kernels: Any) -> Any:
        return kernels_together.composed_kernels(
            {key: ops.stop_gradient(kernel) for key, kernel in kernels.items()}
        )

    monkeypatch.setattr(remat_parts, "composed_kernels", without_gradient)
    assert largest_difference(whole, trained(3)) > 1e-3


@pytest.mark.slow
def test_parts_are_used_in_training_alone(monkeypatch: Any) -> None:
    runs: list[int] = []
    run = GraphPart.run

    def counted(part: Any, *args: Any) -> Any:
        runs.append(id(part))
        return run(part, *args)

    monkeypatch.setattr(GraphPart, "run", counted)
    model = fcn()
    model.compile("sgd", TemperatureCrossentropy(5.0))
    model.remat_parts = 3
    model.predict(IMAGES, verbose=0)
    assert not runs
    model.fit(IMAGES, LABELS, verbose=0)
    assert len(set(runs)) == 3


@pytest.mark.one_backend
def test_parts_hold_every_node_once_and_what_passes_between_them() -> None:
    model = deel_seg.LipDeepLabV3("S", num_classes=5)
    nodes = [n for level in model._nodes_by_depth.values() for n in level if not n.is_input]
    for count in (1, 2, 4, 1000):
        parts = cut_graph(model, count)
        assert len(parts) <= count
        assert sorted(id(n) for part in parts for n in part.nodes) == sorted(map(id, nodes))
        known = {id(tensor) for tensor in model.inputs}
        for part in parts:
            assert set(part.inputs) <= known
            known |= set(part.outputs)
        assert {id(tensor) for tensor in model.outputs} <= known
    assert len(cut_graph(model, 4)) == 4


def test_cuts_are_where_little_is_kept() -> None:
    inputs = keras.Input((32, 32, 4))
    x = inputs
    for _ in range(4):
        x = deel_seg.layers.SpaceToDepth(2)(MaxMin()(x))  # As much as before.
        x = OrthogonalConv2D(4, 1)(x)  # A quarter of it.
        x = deel_seg.layers.DepthToSpace(2)(OrthogonalConv2D(16, 1)(x))
    first, _ = cut_graph(deel_seg.LipschitzModel(inputs, x), 2)
    assert first.nodes[-1].operation.filters == 4


@pytest.mark.slow
def test_remat_parts_are_saved_and_checked(tmp_path: Path) -> None:
    model = fcn()
    model.compile("sgd", TemperatureCrossentropy(5.0))
    model.remat_parts = 3
    model.fit(IMAGES, LABELS, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.remat_parts == 3
    loaded.fit(IMAGES, LABELS, verbose=0)
    with pytest.raises(ValueError, match=r"remat_parts.*Received.*0"):
        model.remat_parts = 0


def test_losses_of_activations_are_refused() -> None:
    inputs = keras.Input((16, 16, 3))
    x = MaxMin(activity_regularizer="l2", name="penalised")(OrthogonalConv2D(4, 3)(inputs))
    model = deel_seg.LipschitzModel(inputs, OrthogonalConv2D(3, 1)(x))
    model.compile("sgd", TemperatureCrossentropy(5.0))
    model.remat_parts = 2
    with pytest.raises(ValueError, match=r"remat_parts.*penalised"):
        model.fit(IMAGES, LABELS, verbose=0)

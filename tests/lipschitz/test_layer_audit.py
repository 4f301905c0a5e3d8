"""The audit: what each row says, what it makes of weights that moved, and how it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import deel_seg
from deel_seg.layers import MaxMin, OrthogonalConv2D, RMSScaling, ScaledAdd
from deel_seg.lipschitz import (
    Audit,
    AuditRow,
    UnknownLipschitzBound,
    audit,
    certified_lipschitz_constant,
    lipschitz_bound,
)

IMAGES = np.random.default_rng(0).random((2, 8, 8, 3)).astype("float32")


class _Drifting(OrthogonalConv2D):
    gain = 1.0

    def effective_kernel(self, training: bool | None = False) -> Any:
        return super().effective_kernel(training) * self.gain


def network() -> keras.Model:
    image = keras.Input((None, None, 3))
    x = MaxMin(name="sorted")(_Drifting(8, 3, name="first")(image))
    inner = keras.Model(x_in := keras.Input((None, None, 8)), OrthogonalConv2D(8, 1)(x_in))
    inner.name = "inner"
    x = ScaledAdd(learned=True, name="sum")([x, inner(x)])
    x = RMSScaling(4, 1, k_coef_lip=0.5, name="scale")(x)
    return keras.Model(image, OrthogonalConv2D(4, 2, strides=2, name="last")(x), name="net")


def test_a_row_for_each_layer() -> None:
    model = network()
    found = audit(model, verbose=0)
    assert [row.name for row in found.rows] == [
        "first", "sorted", f"inner/{model.get_layer('inner').layers[-1].name}", "sum", "scale",
        "last",
    ]  # fmt: skip
    assert [row.type for row in found.rows][:2] == ["_Drifting", "MaxMin"]
    assert found.by_design == lipschitz_bound(model)
    assert found.certified == certified_lipschitz_constant(model)
    assert found.holds and found.seen is None
    rows = {row.name: row for row in found.rows}
    assert rows["scale"].by_design == 0.25 and rows["scale"].parameters == {"k_coef_lip": 0.5}
    assert rows["sum"].parameters == {"learned": True}
    assert rows["last"].parameters["strides"] == (2, 2)
    assert rows["sorted"].tightness is None
    for name in ("first", "last"):
        assert 1.0 <= rows[name].tightness < 1.001
        assert abs(rows[name].by_weights - 1.0) < 1e-3


@pytest.mark.parametrize("gain", [1.01, 5.0])
def test_a_layer_that_has_drifted_stands_out(gain: float) -> None:
    model = network()
    model.get_layer("first").gain = gain
    found = audit(model, verbose=0)
    assert [row.name for row in found.rows if row.drifted] == ["first"]
    assert not found.holds and "first" in found.verdict
    assert found.certified >= gain * found.by_design * (1 - 1e-3)
    assert "**drifted**" in str(found)


@pytest.mark.one_backend
def test_what_is_seen_stands_beside_what_is_proved() -> None:
    model = network()
    found = audit(model, IMAGES, iterations=5, verbose=0)
    assert found.seen is not None and 0.3 * found.certified < found.seen <= found.certified
    assert "Largest ratio seen" in str(found)


def test_more_seen_than_proved_is_a_contradiction() -> None:
    row = AuditRow("a", "Conv2D", None, 1.0, 1.0, {})
    found = Audit("net", [row], None, 1.0, seen=1.1)
    assert not found.holds and "CONTRADICTION" in found.verdict


@pytest.mark.one_backend
def test_an_ordinary_network() -> None:
    model = deel_seg.DeepLabV3(
        {"widths": [8, 8], "convolutions": 2, "aspp_rates": [1, 2]}, num_classes=4
    )
    found = audit(model, verbose=0)
    assert found.by_design is None and found.holds
    assert f"{found.certified:.6g} is proved" in found.verdict
    assert {row.by_design is None for row in found.rows if row.type == "Conv2D"} == {True}


def test_parameters_of_any_kind() -> None:
    @keras.saving.register_keras_serializable("tests")
    def mine(x: Any) -> Any:
        return x

    image = keras.Input((4, 4, 4))
    x = layers.ZeroPadding2D(((1, 0), (2, 3)))(image)
    with pytest.raises(UnknownLipschitzBound, match="'culprit'"):
        audit(keras.Model(image, layers.Dense(2, activation=mine, name="culprit")(x)), verbose=0)
    found = audit(keras.Model(image, layers.Rescaling([2.0, 1.0, 1.0, 1.0])(x)), verbose=0)
    assert found.rows[0].parameters == {"padding": ((1, 0), (2, 3))}
    assert json.loads(found.to_json())["certified"] >= 2.0


def test_it_is_written(tmp_path: Path) -> None:
    found = audit(network(), verbose=0)
    data = json.loads(found.to_json(tmp_path / "new" / "audit.json"))
    assert json.loads((tmp_path / "new" / "audit.json").read_text()) == data
    assert data["certified"] == found.certified and data["holds"] is True
    assert [layer["name"] for layer in data["layers"]] == [row.name for row in found.rows]
    text = found.to_markdown(tmp_path / "audit.md")
    assert (tmp_path / "audit.md").read_text() == text == str(found)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == len(found.rows) + 3
    assert len({line.count("|") for line in table}) == 1
    assert found.verdict in text


def test_a_layer_counts_once_and_an_unknown_one_is_named() -> None:
    image = keras.Input((4, 4, 4))
    shared = OrthogonalConv2D(4, 3, name="shared")
    found = audit(keras.Model(image, shared(shared(image))), verbose=0)
    assert [row.name for row in found.rows] == ["shared"]
    unknown = layers.LayerNormalization(name="culprit")
    with pytest.raises(UnknownLipschitzBound, match="'culprit'"):
        audit(keras.Model(image, unknown(image)), verbose=0)


def test_it_shows_progress(capsys: pytest.CaptureFixture[str]) -> None:
    audit(network())
    assert "6/6" in capsys.readouterr().out

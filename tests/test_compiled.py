"""What `compiled` tells the functions that it traces about who compiles them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from deel_seg import _backend
from deel_seg._backend import compiled, materialised

if keras.backend.backend() != "tensorflow":
    pytest.skip("JAX always compiles with XLA", allow_module_level=True)

VALUES = np.arange(6, dtype="float32").reshape(2, 3)


def doubled(values: Any) -> Any:
    return materialised(lambda: 2.0 * values, ops.zeros_like(values), values)


@pytest.fixture
def loops(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Grows with each loop that hides a computation from XLA."""
    found: list[Any] = []
    while_loop = ops.while_loop
    monkeypatch.setattr(ops, "while_loop", lambda *each: found.append(each) or while_loop(*each))
    return found


def test_nothing_is_hidden_from_xla_where_it_does_not_compile(
    monkeypatch: pytest.MonkeyPatch, loops: list[Any]
) -> None:
    monkeypatch.setattr(_backend, "WITH_XLA", False)
    inner = compiled(doubled)
    outer = compiled(lambda values: inner(values))
    for function in (inner, outer):
        np.testing.assert_array_equal(function(ops.convert_to_tensor(VALUES)), 2.0 * VALUES)
    assert not loops


@pytest.mark.parametrize("jit_compile", [True, False])
def test_a_graph_around_it_may_be_compiled_with_xla(
    monkeypatch: pytest.MonkeyPatch, loops: list[Any], jit_compile: bool
) -> None:
    import tensorflow as tf

    monkeypatch.setattr(_backend, "WITH_XLA", False)
    function = compiled(doubled)
    function(ops.convert_to_tensor(VALUES))
    assert not loops
    # What was traced without a loop is not taken for this.
    around = tf.function(lambda values: function(values), jit_compile=jit_compile)
    np.testing.assert_array_equal(around(VALUES), 2.0 * VALUES)
    assert len(loops) == 1


def test_what_xla_compiles_is_hidden_from_it(
    monkeypatch: pytest.MonkeyPatch, loops: list[Any]
) -> None:
    monkeypatch.setattr(_backend, "WITH_XLA", True)
    np.testing.assert_array_equal(compiled(doubled)(ops.convert_to_tensor(VALUES)), 2.0 * VALUES)
    assert len(loops) == 1


def test_what_xla_compiles_in_a_graph_that_it_does_not_is_hidden_from_it(
    monkeypatch: pytest.MonkeyPatch, loops: list[Any]
) -> None:
    monkeypatch.setattr(_backend, "WITH_XLA", True)
    inner = compiled(doubled)
    outer = compiled(lambda values: inner(values), xla=False)
    np.testing.assert_array_equal(outer(ops.convert_to_tensor(VALUES)), 2.0 * VALUES)
    assert len(loops) == 1

"""What ONNX Runtime and LiteRT compute from a converted certificate is one as well."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from deel_seg.export.portable import portable_certificate
from tests.certificates.cases import CASES
from tests.certificates.exact import numbers
from tests.export.claims import EPS, FLATTENED, assert_tight, claims_too_much

if keras.backend.backend() != "tensorflow":
    pytest.skip("conversions start from TensorFlow", allow_module_level=True)

import tensorflow as tf

OPTIONS: dict[str, Any] = {"lipschitz_constant": 1.0, "logit_tolerance": 0.0, "eps": EPS}

Run = Callable[[np.ndarray], dict[str, np.ndarray]]


def traced(classes: int) -> tuple[Any, Any]:
    """The certificate as a function of logits of unknown size, and their specification."""
    spec = tf.TensorSpec((None, None, None, classes), tf.float32, name="logits")
    function = tf.function(
        lambda logits: portable_certificate(logits, **OPTIONS),
        input_signature=[spec],
        autograph=False,
    )
    return function, spec


def in_onnx(classes: int) -> Run:
    tf2onnx = pytest.importorskip("tf2onnx")
    runtime = pytest.importorskip("onnxruntime")
    function, spec = traced(classes)
    model, _ = tf2onnx.convert.from_function(function, input_signature=[spec], opset=18)
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return lambda logits: dict(zip(names, session.run(None, {"logits": logits}), strict=True))


def in_litert(classes: int) -> Run:
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    function, _ = traced(classes)
    holder = tf.Module()
    holder.certify = function
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], holder
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    interpreter = litert.Interpreter(model_content=converter.convert())
    runner = interpreter.get_signature_runner()
    return lambda logits: runner(logits=logits)


@functools.cache
def converted(runtime: Callable[[int], Run], classes: int) -> Run:
    return runtime(classes)


RUNTIMES = pytest.mark.parametrize("runtime", [in_onnx, in_litert])


@RUNTIMES
@pytest.mark.parametrize("name", CASES)
def test_sound_and_tight_on_adversarial_logits(name: str, runtime: Callable[[int], Run]) -> None:
    logits = CASES[name]
    bounds = converted(runtime, logits.shape[-1])(logits)
    assert not claims_too_much(logits, bounds)
    if name not in FLATTENED:
        assert_tight(logits, bounds)
    here = portable_certificate(logits, **OPTIONS)
    # A runtime may take a subnormal logit for zero, and another class for the largest one.
    certain = numbers(here["radius"]) > 0
    assert (bounds["labels"] == numbers(here["labels"]))[certain].all()


@RUNTIMES
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nothing_is_certified_where_a_logit_is_not_finite(
    bad: float, runtime: Callable[[int], Run]
) -> None:
    logits = np.repeat(CASES["random"], 2, axis=0)
    logits[0, 1, 1, 0] = bad
    bounds = converted(runtime, 3)(logits)
    for name in ("radius", "stability_radius", "crs"):
        assert np.isnan(bounds[name][0]).all() and np.isfinite(bounds[name][1]).all()

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from deel_seg._derivatives import vjp
from deel_seg.losses import CosineSimilarity
from tests.losses import reference
from tests.losses.reference import BINARY_LABELS, BINARY_LOGITS, LABELS, LOGITS, VOID_LABELS

CLOSE = {"rel": 1e-5, "abs": 1e-6}  # 60 float32 terms


def test_equals_the_formula() -> None:
    kept = VOID_LABELS != 255
    losses = reference.cosine(LOGITS, np.where(kept, VOID_LABELS, 0))
    got = CosineSimilarity(ignore_class=255)(VOID_LABELS, LOGITS)
    assert float(got) == pytest.approx(reference.mean(losses, kept), **CLOSE)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_it_does_not_see_the_scale(scale: float) -> None:
    scaled = (scale * LOGITS).astype("float32")
    expected = float(CosineSimilarity()(LABELS, LOGITS))
    assert float(CosineSimilarity()(LABELS, scaled)) == pytest.approx(expected, **CLOSE)


def test_gradient_equals_the_formula() -> None:
    # d(-z_y / |z|) = -(e_y - z_y z / |z|^2) / |z|; with one logit alone the tie of the largest
    # squares with 1 must not halve it.
    logits = np.array([[[[3.0, 4.0, 0.0], [5.0, 0.0, 0.0]]]], "float32")
    labels = np.array([[[1, 0]]], "int32")
    loss = CosineSimilarity(reduction="sum")
    result = vjp(
        lambda z: loss(labels, z), [ops.convert_to_tensor(logits)], ops.convert_to_tensor(1.0)
    )
    z = logits.astype("float64")
    norm = np.linalg.norm(z, axis=-1, keepdims=True)
    chosen = np.take_along_axis(z, labels[..., None], -1)
    expected = -(np.eye(3)[labels] - chosen * z / norm**2) / norm
    np.testing.assert_allclose(ops.convert_to_numpy(result[0]), expected, atol=1e-6)


def test_one_logit_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two logits"):
        CosineSimilarity()(BINARY_LABELS, BINARY_LOGITS)

"""Classes side by side: each of them once, whatever their number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keras import ops

from deel_seg.certificates.class_lanes import additions, lane_sums, lanes, largest_of_lanes
from deel_seg.certificates.margins import class_margins
from tests.certificates.exact import numbers

CLASSES = (16, 17, 31, 32, 33, 48, 150)


def whole(classes: int) -> np.ndarray:
    return np.random.default_rng(0).integers(-9, 9, (1, 2, 3, classes)).astype("float32")


@pytest.mark.parametrize("classes", CLASSES)
def test_every_class_once(classes: int) -> None:
    logits = whole(classes)
    found = []
    for values, ids in lanes(ops.convert_to_tensor(logits), classes):
        assert values.shape[-1] == ids.size == 16
        assert (numbers(values)[..., ids >= 0] == logits[..., ids[ids >= 0]]).all()
        found += ids[ids >= 0].tolist()
    assert found == list(range(classes))


@pytest.mark.parametrize("classes", CLASSES)
def test_sums(classes: int) -> None:
    logits = whole(classes)  # Whole numbers, whose sums are exact.

    def terms(values: Any) -> tuple[Any, Any]:
        return values, values * values + 1

    one, other = lane_sums(terms, ops.convert_to_tensor(logits), classes)
    assert (numbers(one) == logits.sum(-1)).all()
    assert (numbers(other) == (logits**2 + 1).sum(-1)).all()


@pytest.mark.one_backend
@pytest.mark.parametrize("classes", CLASSES)
def test_no_term_goes_through_more_additions(classes: int) -> None:
    # Those of its own lane, and then those of the lanes, in the worst order.
    turns = len(list(lanes(ops.convert_to_tensor(whole(classes)), classes)))
    assert additions(classes) >= (turns - 1) + (16 - 1)


@pytest.mark.parametrize("classes", [33, 41, 150])
def test_largest_are_distances_of_different_classes(classes: int) -> None:
    logits = np.random.default_rng(1).permutation(classes).astype("float32").reshape(1, 1, 1, -1)
    for k in (0, classes - 1):
        own = ops.convert_to_tensor(logits[..., k])
        found = numbers(largest_of_lanes(ops.convert_to_tensor(logits), own, k, classes)).ravel()
        there = found[found > -1e30]
        others = np.delete(logits.ravel(), k) - logits.ravel()[k]
        assert len(set(there)) == there.size >= 15
        assert np.isin(there, others).all() and there.max() == others.max()


def test_half_precision_is_widened() -> None:
    narrow = ops.cast(ops.convert_to_tensor(whole(17)), "bfloat16")
    for values, _ in lanes(narrow, 17):
        assert numbers(values).dtype == np.float32


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "int64"])
def test_labels_of_few_bits_name_no_other_class(dtype: str) -> None:
    """Cut to 8 bits, class 256 would count as class 0 and stand in nobody's way."""
    logits = np.zeros((1, 1, 2, 300), "float32")
    logits[..., 0], logits[..., 256] = 5.0, 4.5
    labels = ops.convert_to_tensor(np.zeros((1, 1, 2), dtype))
    found = class_margins(ops.convert_to_tensor(logits), labels, ops.convert_to_tensor(0.0), 300)
    assert (numbers(found) <= 0.5).all() and (numbers(found) > 0.49).all()

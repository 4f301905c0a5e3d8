"""Every class with its own logits, however many are copied at once and in whatever order."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from deel_seg.certificates import class_map
from deel_seg.certificates.class_map import map_classes
from tests.certificates.exact import numbers

LOGITS = np.random.default_rng(0).normal(size=(2, 2, 3, 7)).astype("float32")


@pytest.mark.parametrize("together", [1, 2, 3, 7, 10])
@pytest.mark.parametrize("wanted", [range(7), [3, 0, 6, 5, 1, 2, 4], [5, 2], [4]])
def test_each_class_meets_its_logits(
    together: int, wanted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_map, "_TOGETHER", together)
    ids = ops.convert_to_tensor(np.array(wanted, "int32"))
    classes, logits = map_classes(
        lambda class_id, own: (class_id, own), ops.convert_to_tensor(LOGITS), ids
    )
    assert numbers(classes).tolist() == list(wanted)
    assert (numbers(logits) == np.moveaxis(LOGITS, -1, 0)[list(wanted)]).all()


def test_half_precision_is_widened() -> None:
    narrow = ops.cast(ops.convert_to_tensor(LOGITS), "float16")
    _, logits = map_classes(lambda *both: both, narrow, ops.arange(7, dtype="int32"))
    assert (numbers(logits) == np.moveaxis(LOGITS.astype("float16"), -1, 0)).all()
    assert numbers(logits).dtype == np.float32

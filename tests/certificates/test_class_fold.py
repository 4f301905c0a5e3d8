"""The pass over the classes: every logit once, in order, however many are written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keras import ops

from deel_seg._backend import compiled
from deel_seg.certificates import class_fold
from deel_seg.certificates.class_fold import fold_classes
from deel_seg.certificates.margins import class_margins
from tests.certificates.exact import numbers

LOGITS = np.random.default_rng(0).integers(-9, 9, (1, 2, 3, 11)).astype("float32")


def digest(logits: Any) -> Any:
    """Depends on the value, the class and the place in the order of every logit."""

    def step(state: Any, value: Any, index: Any) -> Any:
        total, number = state
        total = total * 2 + value * (1 + ops.cast(index, "float32"))  # Whole numbers, exactly.
        return total, number + 1

    zero = ops.zeros_like(logits[..., 0])
    return fold_classes(step, (zero, zero), logits, logits.shape[-1])[0]


@pytest.mark.parametrize("block", [1, 2, 3, 11, 12])
def test_blocks_leave_no_trace(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = numbers(digest(ops.convert_to_tensor(LOGITS)))
    margins = compiled(class_margins, static_argnames=("num_classes",))
    arguments = ops.convert_to_tensor(LOGITS), None, ops.convert_to_tensor(0.0)
    expected = numbers(margins(*arguments, num_classes=11))
    monkeypatch.setattr(class_fold, "_UNROLLED", 4)
    monkeypatch.setattr(class_fold, "_BLOCK", block)
    assert (numbers(digest(ops.convert_to_tensor(LOGITS))) == whole).all()
    blocked = compiled(
        lambda *given, num_classes: class_margins(*given, num_classes),
        static_argnames=("num_classes",),
    )
    assert (numbers(blocked(*arguments, num_classes=11)) == expected).all()


def test_half_precision_is_widened() -> None:
    narrow = ops.cast(ops.convert_to_tensor(LOGITS), "bfloat16")
    widened = numbers(class_fold.channel(narrow, 3))
    assert widened.dtype == np.float32
    assert (widened == numbers(ops.cast(narrow, "float32"))[..., 3]).all()

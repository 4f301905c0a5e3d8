from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from keras import ops

from deel_seg.certificates import pixel_radius, worst_case_pixel_accuracy
from tests.certificates.exact import numbers

LOGITS = np.random.default_rng(0).normal(size=(2, 3, 4, 3)).astype("float32")
LABELS = np.random.default_rng(1).integers(0, 3, (2, 3, 4))


def with_entry(array: np.ndarray, index: tuple[int, ...], value: float) -> np.ndarray:
    changed = array.copy()
    changed[index] = value
    return changed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eps": -1.0}, r"`eps` must be finite and >= 0.*eps=-1.0"),
        ({"eps": [0.1, -0.5]}, r"`eps` must be finite and >= 0"),
        ({"eps": float("nan")}, r"`eps`"),
        ({"eps": math.inf}, r"`eps`"),
        ({"eps": []}, r"`eps` must be a number or a 1-D sequence"),
        ({"eps": [[0.1]]}, r"`eps` must be a number or a 1-D sequence"),
        ({"eps": "small"}, r"`eps` must be a number.*'small'"),
        ({"eps": None}, r"`eps`"),
        ({"eps": True}, r"`eps`"),
        ({"lipschitz_constant": 0.0}, r"`lipschitz_constant` must be finite and > 0"),
        ({"lipschitz_constant": -2}, r"`lipschitz_constant` must be finite and > 0"),
        ({"lipschitz_constant": [1.0]}, r"`lipschitz_constant` must be a number"),
        ({"logit_tolerance": -1e-3}, r"`logit_tolerance` must be finite and >= 0"),
        ({"p": 3}, r"`p` must be 1, 2 or inf.*p=3"),
        ({"eps": "0.1"}, r"`eps` must be a number or a 1-D sequence of numbers.*eps='0.1'"),
        ({"eps": [0.1, "0.2"]}, r"`eps` must be a number or"),
        ({"lipschitz_constant": "1"}, r"`lipschitz_constant` must be a number\."),
        ({"p": True}, r"`p`"),
        ({"p": "inf"}, r"`p`"),
        ({"ignore_class": 2.5}, r"`ignore_class` must be an integer"),
        ({"mask": np.ones((2, 3, 4))}, r"`mask` must be boolean"),
        ({"mask": np.ones((2, 3, 5), bool)}, r"`mask` must have shape \(2, 3, 4\)"),
        ({"labels": LABELS[:1]}, r"`labels` must have shape \(2, 3, 4\)"),
        ({"labels": LABELS.astype("float32")}, r"`labels` must be integers"),
        ({"labels": with_entry(LABELS, (0, 0, 0), 3)}, r"`labels` must lie in \[0, 3\).*label=3"),
        ({"labels": with_entry(LABELS, (0, 0, 0), -1)}, r"label=-1"),
        ({"labels": with_entry(LABELS, (0, 0, 0), 2**32)}, r"label=4294967296"),
        ({"labels": with_entry(LABELS, (1, 1, 1), 255), "ignore_class": 254}, r"label=255"),
        ({"logits": LOGITS[0]}, r"`logits` must have shape \(batch, height, width, classes\)"),
        ({"logits": LOGITS[:, :0]}, r"`logits` must have shape"),
        ({"logits": LOGITS.astype("int32")}, r"`logits` must be floating point"),
        ({"logits": with_entry(LOGITS, (1, 0, 0, 0), np.nan)}, r"finite.*non_finite=1"),
        ({"logits": with_entry(LOGITS, (1, 0, 0, 0), np.inf)}, r"finite.*non_finite=1"),
    ],
)
def test_wrong_arguments_are_refused(changes: dict[str, Any], message: str) -> None:
    arguments = {"logits": LOGITS, "labels": LABELS, "eps": 0.1, **changes}
    with pytest.raises(ValueError, match=message):
        worst_case_pixel_accuracy(**arguments)


def test_non_finite_logits_of_an_ignored_pixel_are_refused() -> None:
    logits = with_entry(LOGITS, (0, 0, 0, 0), np.nan)
    with pytest.raises(ValueError, match="finite"):
        pixel_radius(logits, with_entry(LABELS, (0, 0, 0), 255), ignore_class=255)


def test_a_wrong_label_outside_the_mask_is_no_error() -> None:
    mask = np.ones((2, 3, 4), bool)
    mask[0, 0, 0] = False
    labels = with_entry(LABELS, (0, 0, 0), 99)
    values = worst_case_pixel_accuracy(LOGITS, labels, eps=0.0, mask=mask)
    assert np.isfinite(numbers(values)).all()


def test_binary_labels_are_zero_and_one() -> None:
    with pytest.raises(ValueError, match=r"\[0, 2\).*label=2"):
        worst_case_pixel_accuracy(LOGITS[..., :1], LABELS, eps=0.1)


@pytest.mark.slow
def test_tensors_arrays_and_lists_agree() -> None:
    expected = numbers(worst_case_pixel_accuracy(LOGITS, LABELS, eps=[0.1, 0.4]))
    given = [
        (LOGITS.tolist(), LABELS.tolist(), (0.1, 0.4)),
        (ops.convert_to_tensor(LOGITS), LABELS.astype("uint8"), np.array([0.1, 0.4])),
        (LOGITS.astype("float64"), LABELS.astype("int64"), ops.convert_to_tensor([0.1, 0.4])),
    ]
    for logits, labels, eps in given:
        values = numbers(worst_case_pixel_accuracy(logits, labels, eps=eps))
        assert (values == expected).all()

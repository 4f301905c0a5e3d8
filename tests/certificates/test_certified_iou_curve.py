"""The curve of certified IoUs over a data set: soundness, sums in any order, and its state."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deel_seg.certificates import CertifiedIoU, CertifiedIoUCurve, IoUCurve
from tests.certificates.exact import SLACK
from tests.certificates.test_data_set_iou import LABELS, LOGITS, exact_iou

EPS = [0.0, 0.4, 1.5]


def curve_of(*batches: Any, eps: Any = EPS, **options: Any) -> CertifiedIoUCurve:
    """A curve over images 0 and 1 and image 2, or others, in batches of two by default."""
    curve = CertifiedIoUCurve(eps, 3, **{"ignore_class": 255, **options})
    for batch in batches or (slice(0, 2), slice(2, 3)):
        curve.update(LOGITS[batch], LABELS[batch])
    return curve


def assert_same(first: IoUCurve, second: IoUCurve) -> None:
    for name, value in first._asdict().items():
        assert np.array_equal(value, getattr(second, name), equal_nan=True), name


def assert_sound(result: IoUCurve) -> None:
    """Against the enumeration of what every image can do: never above, and not far below."""
    for column, eps in enumerate(result.eps):
        exact = {k: exact_iou(k, eps) for k in result.class_ids}
        for row, k in enumerate(result.class_ids):
            value = Fraction(float(result.iou[row, column]))
            assert value <= exact[k], "too much"
            # A fraction of a pixel of each image is what whole pixels may be worth.
            spare = Fraction(3 * 2, int((LABELS == k).sum()))
            assert value >= exact_iou(k, eps * (1 + 2 * float(SLACK))) - spare, "far too little"
        mean = Fraction(float(result.mean_iou[column]))
        assert mean <= sum(exact.values(), Fraction(0)) / len(exact), "too much"


def test_never_above_the_exact_values() -> None:
    result = curve_of().result()
    assert result.eps == tuple(EPS) and result.class_ids == (0, 1, 2)
    assert result.iou.shape == (3, 3) and result.mean_iou.shape == (3,)
    assert result.iou.dtype == result.mean_iou.dtype == np.float32
    assert result.images.tolist() == [(LABELS == k).any(axis=(1, 2)).sum() for k in range(3)]
    assert (result.num_images, result.skipped) == (3, 0)
    assert_sound(result)


def test_the_check_catches_too_small_a_constant() -> None:
    with pytest.raises(AssertionError, match="too much"):
        assert_sound(curve_of(lipschitz_constant=0.25).result())


def test_batches_order_and_merges_leave_no_trace() -> None:
    whole = curve_of()
    first, second = curve_of(slice(2, 3)), curve_of(slice(0, 2))
    other = curve_of(slice(2, 3), slice(0, 2))
    first.merge(second)
    for curve in (other, first):
        assert_same(curve.result(), whole.result())
        for name, array in whole.get_state().items():
            assert np.array_equal(curve.get_state()[name], array), name
    assert_same(second.result(), curve_of(slice(0, 2)).result())  # What was merged stays as it was.


def test_a_run_goes_on_from_a_file(tmp_path: Path) -> None:
    stopped = curve_of(slice(0, 2))
    np.savez(tmp_path / "curve.npz", **stopped.get_state())
    resumed = CertifiedIoUCurve(EPS, 3, ignore_class=255)
    with np.load(tmp_path / "curve.npz") as state:
        resumed.set_state(state)
    for curve in (stopped, resumed):
        curve.update(LOGITS[2:], LABELS[2:])
    assert_same(resumed.result(), stopped.result())
    resumed.reset()
    assert np.isnan(resumed.result().mean_iou).all() and resumed.result().num_images == 0


@pytest.mark.slow
@pytest.mark.one_backend
def test_one_class_is_that_of_the_metric() -> None:
    mask = np.arange(2 * 2 * 3).reshape(2, 2, 3) % 4 > 0
    curve = CertifiedIoUCurve([0.4], 3, [0])
    curve.update(LOGITS[:2], LABELS[:2], mask=mask)
    metric = CertifiedIoU(0.4, 0, lipschitz_constant=1.0)
    metric.update_state(LABELS[:2], LOGITS[:2], sample_weight=mask.astype("float32"))
    result = curve.result()
    assert 0 < float(result.iou[0, 0]) == float(metric.result())
    assert 0 < result.mean_iou[0] <= result.iou[0, 0]


def test_pixels_and_images_that_do_not_count() -> None:
    curve = CertifiedIoUCurve(EPS, 3, ignore_class=255)
    void = np.where(np.arange(2)[:, None, None] == 0, 255, LABELS[:2])
    curve.update(LOGITS[:2], void)
    result, alone = curve.result(), curve_of(slice(1, 2)).result()
    assert_same(result._replace(skipped=0), alone)
    assert (result.num_images, result.skipped) == (1, 1)
    # Image 1 has no pixel of class 1, which is left out of the mean.
    assert np.isnan(result.iou[1]).all() and result.images[1] == 0
    assert np.isfinite(result.mean_iou).all()


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.where(LOGITS > 1, np.nan, LOGITS), LABELS, "`logits` must be finite"),
        (LOGITS, LABELS + 1, r"`labels` must lie in \[0, 3\)"),
        (LOGITS[..., :2], LABELS, "`logits` must have 3 classes"),
        (LOGITS, None, "`labels` must be given"),
    ],
)
def test_a_batch_that_cannot_be_read_adds_nothing(logits: Any, labels: Any, message: str) -> None:
    curve = curve_of(slice(0, 2))
    before = curve.result()
    with pytest.raises(ValueError, match=message):
        curve.update(logits[:2], None if labels is None else labels[:2])
    assert_same(curve.result(), before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": 0.1}, "`eps` must be a sequence"),
        ({"eps": [0.1, 0.1]}, "`eps` must hold different budgets"),
        ({"num_classes": 1}, "`num_classes` must be at least 2"),
        ({"class_ids": [3]}, r"`class_ids` must lie in \[0, 3\)"),
        ({"class_ids": [1], "ignore_class": 1}, "`class_ids` must not be `ignore_class`"),
        ({"class_ids": [1, 1]}, "`class_ids` must hold different classes"),
        ({"class_ids": 1}, "`class_ids` must be a sequence"),
        ({"lipschitz_constant": 0.0}, "`lipschitz_constant`"),
        ({"p": float("inf")}, "`p` must be 1 or 2"),
        ({"ignore_class": 0.5}, "`ignore_class`"),
        ({"logit_tolerance": -1.0}, "`logit_tolerance`"),
    ],
)
def test_arguments_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CertifiedIoUCurve(**{"eps": EPS, "num_classes": 3, **options})


OTHERS = [
    ({"eps": [0.0, 0.4, 1.0]}, "eps"),
    ({"num_classes": 4, "class_ids": [0, 1, 2]}, "num_classes"),
    ({"class_ids": [0, 1]}, "class_ids"),
    ({"lipschitz_constant": 2.0}, "lipschitz_constant"),
    ({"p": 1}, "p"),
    ({"ignore_class": 255}, "ignore_class"),
    ({"logit_tolerance": 0.1}, "logit_tolerance"),
]


@pytest.mark.parametrize(("options", "name"), OTHERS)
def test_curves_of_other_options_do_not_mix(options: dict[str, Any], name: str) -> None:
    curve = CertifiedIoUCurve(EPS, 3)
    other = CertifiedIoUCurve(**{"eps": EPS, "num_classes": 3, **options})
    with pytest.raises(ValueError, match=rf"`other`.*same options, with {name}=.*Received: {name}"):
        curve.merge(other)
    with pytest.raises(ValueError, match=rf"`state`.*same options, with {name}=.*Received: {name}"):
        curve.set_state(other.get_state())


def test_a_state_that_is_none_is_refused() -> None:
    curve = CertifiedIoUCurve(EPS, 3)
    with pytest.raises(ValueError, match=r"`other`.*Received: other='dict'"):
        curve.merge(curve.get_state())
    for name in ("limbs", "eps"):
        state = curve.get_state()
        del state[name]
        with pytest.raises(ValueError, match=f"must hold `{name}`"):
            curve.set_state(state)
    for wrong in (np.zeros((4,), "int32"), np.zeros((3,))):
        with pytest.raises(ValueError, match=r"`labelled` of the state must be int32"):
            curve.set_state({**curve.get_state(), "labelled": wrong})

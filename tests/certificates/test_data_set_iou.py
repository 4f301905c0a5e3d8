"""The IoU of a data set against exact enumeration, and its sums in any order."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from keras import ops

from deel_seg._backend import accumulation_dtype
from deel_seg.certificates import CertifiedIoU, CertifiedMeanIoU, data_set_iou, exact_sum
from deel_seg.certificates.data_set_iou import GRID, worst_data_set_iou
from tests.certificates.exact import SLACK, numbers

GENERATOR = np.random.default_rng(0)
LOGITS = GENERATOR.normal(size=(3, 2, 3, 3)).astype("float32")
LABELS = np.where(
    GENERATOR.random((3, 2, 3)) < 0.7, LOGITS.argmax(-1), GENERATOR.integers(0, 3, (3, 2, 3))
).astype("int32")
LABELS[1] = np.where(LABELS[1] == 1, 2, LABELS[1])  # An image without class 1.


def loss_cost(pixel: list[Fraction], k: int) -> Fraction:
    gap = pixel[k] - max(z for j, z in enumerate(pixel) if j != k)
    return max(gap, Fraction(0)) ** 2 / 2


def becoming_cost(pixel: list[Fraction], k: int) -> Fraction:
    above = sorted((z - pixel[k] for z in pixel if z > pixel[k]), reverse=True)
    level = max((sum(above[:m]) / (m + 1) for m in range(1, len(above) + 1)), default=Fraction(0))
    return level**2 + sum((d - level) ** 2 for d in above if d > level)


def reachable(logits: np.ndarray, labels: np.ndarray, k: int, budget: Fraction) -> set[Any]:
    """All `(intersection, union)` over subsets of the pixels of one image that the budget pays."""
    pixels = [[Fraction(float(z)) for z in pixel] for pixel in logits.reshape(-1, 3)]
    positive = [int(label) == k for label in labels.ravel()]
    costs = [
        (loss_cost if kind else becoming_cost)(pixel, k)
        for pixel, kind in zip(pixels, positive, strict=True)
    ]
    number = sum(positive)
    pairs = set()
    for flipped in itertools.product((False, True), repeat=len(pixels)):
        if sum(cost for cost, flip in zip(costs, flipped, strict=True) if flip) <= budget**2:
            lost = sum(flip and kind for flip, kind in zip(flipped, positive, strict=True))
            pairs.add((number - lost, number + sum(flipped) - lost))
    return pairs


def exact_iou(k: int, eps: float, images: Any = slice(None)) -> Fraction:
    """Worst ratio of sums, by enumeration of what every image can do."""
    sums = {(0, 0)}
    for logits, labels in zip(LOGITS[images], LABELS[images], strict=True):
        pairs = reachable(logits, labels, k, Fraction(eps))
        sums = {(a + c, b + d) for (a, b), (c, d) in itertools.product(sums, pairs)}
    return min(Fraction(a, b) for a, b in sums)


EPS = [0.0, 0.1, 0.4, 0.8, 1.5, 4.0]


@pytest.mark.parametrize("eps", EPS)
def test_never_above_the_exact_value(eps: float) -> None:
    exact = [exact_iou(k, eps) for k in range(3)]
    for k in range(3):
        metric = CertifiedIoU(eps, k, lipschitz_constant=1.0)
        metric.update_state(LABELS, LOGITS)
        value = Fraction(float(metric.result()))
        assert value <= exact[k]
        # A fraction of a pixel of each image is what whole pixels may be worth.
        spare = Fraction(3 * 2, int((LABELS == k).sum()))
        assert value >= exact_iou(k, eps * (1 + 2 * float(SLACK))) - spare
    mean = CertifiedMeanIoU(eps, 3, lipschitz_constant=1.0)
    mean.update_state(LABELS, LOGITS)
    assert Fraction(float(mean.result())) <= sum(exact) / 3


@pytest.mark.slow
def test_a_mean_of_images_would_be_wrong() -> None:
    # One image with one pixel of the class, found; another with five, of which one is found.
    labels = np.array([[[0, 1, 1], [1, 1, 1]], [[0, 0, 0], [0, 0, 1]]])
    right = np.array([[[0, 1, 1], [1, 1, 1]], [[0, 1, 1], [1, 1, 1]]])
    metric = CertifiedIoU(0.0, 0, lipschitz_constant=1.0)
    metric.update_state(labels, 9.0 * np.eye(3, dtype="float32")[right])
    assert Fraction(float(metric.result())) <= Fraction(1 + 1, 1 + 5) < (1 + Fraction(1, 5)) / 2


def test_without_an_attack_it_is_the_iou() -> None:
    metric = CertifiedIoU(0.0, 0, lipschitz_constant=1.0)
    metric.update_state(LABELS, LOGITS)
    predicted = LOGITS.argmax(-1)
    both = ((predicted == 0) & (LABELS == 0)).sum()
    either = ((predicted == 0) | (LABELS == 0)).sum()
    assert 0 <= both / either - float(metric.result()) < 1e-4


def state(*batches: slice) -> tuple[np.ndarray, float]:
    metric = CertifiedMeanIoU(0.4, 3, lipschitz_constant=1.0)
    for batch in batches:
        metric.update_state(LABELS[batch], LOGITS[batch])
    return numbers(metric.surplus), float(metric.result())


@pytest.mark.slow
def test_batches_and_order_leave_no_trace() -> None:
    whole = state(slice(0, 3))
    for batches in ([slice(0, 1), slice(1, 3)], [slice(2, 3), slice(0, 2)]):
        other = state(*batches)
        assert (whole[0] == other[0]).all() and whole[1] == other[1]


@pytest.mark.slow
def test_states_merge_by_adding() -> None:
    first, second = state(slice(0, 1))[0], state(slice(1, 3))[0]
    together = exact_sum.carried(ops.convert_to_tensor(first + second))
    assert (numbers(together) == state(slice(0, 3))[0]).all()


def test_monotone_and_scaled() -> None:
    values = []
    for eps, scale in ((0.1, 1.0), (0.4, 1.0), (0.4, 2.0), (0.8, 1.0)):
        metric = CertifiedIoU(eps, 0, lipschitz_constant=scale)
        metric.update_state(LABELS, LOGITS * scale)
        values.append(float(metric.result()))
    assert values[0] >= values[1] == values[2] >= values[3]


@pytest.mark.slow
def test_images_that_do_not_count() -> None:
    labels = LABELS.copy()
    labels[0] = 255
    metric = CertifiedIoU(0.4, 2, lipschitz_constant=1.0, ignore_class=255)
    metric.update_state(labels, LOGITS)
    other = CertifiedIoU(0.4, 2, lipschitz_constant=1.0)
    other.update_state(LABELS[1:], LOGITS[1:])
    weighted = CertifiedIoU(0.4, 2, lipschitz_constant=1.0)
    weighted.update_state(LABELS, LOGITS, sample_weight=np.array([0.0, 1.0, 1.0]))
    assert float(metric.result()) == float(other.result()) == float(weighted.result())
    assert int(metric.skipped) == 1 and int(other.skipped) == 0


@pytest.mark.slow
def test_what_cannot_be_read_is_nan_or_an_error() -> None:
    absent = CertifiedIoU(0.1, 1, lipschitz_constant=1.0)
    absent.update_state(LABELS[1:2], LOGITS[1:2])
    assert np.isnan(float(absent.result()))
    mean = CertifiedMeanIoU(0.1, 3, lipschitz_constant=1.0)
    mean.update_state(LABELS[1:2], LOGITS[1:2])
    assert np.isfinite(float(mean.result()))  # of the classes that are there
    broken = LOGITS.copy()
    broken[2, 0, 0, 0] = np.nan
    mean.update_state(LABELS, broken)
    assert np.isnan(float(mean.result()))
    heavy = CertifiedIoU(0.1, 0, lipschitz_constant=1.0)
    heavy.update_state(LABELS, LOGITS, sample_weight=np.array([2.0, 1.0, 1.0]))
    assert np.isnan(float(heavy.result()))
    for make, message in (
        (lambda: CertifiedIoU(-0.1, 0), "`eps`"),
        (lambda: CertifiedIoU(0.1, -1), "`class_id`"),
        (lambda: CertifiedIoU(0.1, 0, p=float("inf")), "`p` must be 1 or 2"),
        (lambda: CertifiedMeanIoU(0.1, 1), "`num_classes`"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    with pytest.raises(ValueError, match="`class_id`"):
        CertifiedIoU(0.1, 3, lipschitz_constant=1.0).update_state(LABELS, LOGITS)
    with pytest.raises(ValueError, match="`num_classes`"):
        CertifiedMeanIoU(0.1, 4, lipschitz_constant=1.0).update_state(LABELS, LOGITS)
    with pytest.raises(ValueError, match="Lipschitz constant"):
        CertifiedIoU(0.1, 0).update_state(LABELS, LOGITS)


def test_config_round_trip() -> None:
    for metric in (
        CertifiedIoU(0.1, 2, ignore_class=255, name="worst_car"),
        CertifiedMeanIoU(0.2, 3, p=1, lipschitz_constant=2.0),
    ):
        again = type(metric).from_config(metric.get_config())
        assert again.get_config() == metric.get_config() and "." not in metric.name


def test_the_chord_lies_below_a_concave_curve() -> None:
    wide = accumulation_dtype()
    ratios = np.arange(GRID + 1) / GRID
    for root in (0.0, 0.1, 0.503, 0.999):
        # Concave, falling, zero at `root`.
        curve = 1000 * ((root - ratios) + 0.3 * (root**2 - ratios**2))
        limbs = exact_sum.to_limbs(ops.convert_to_tensor(curve[None, None].astype(wide)))
        value = float(worst_data_set_iou(limbs)[0, 0])
        assert value <= root + 1e-15 and value > root - 2e-3


def test_limbs_hold_what_they_are_given() -> None:
    values = np.array([0.0, 1.5, -1.5, 2.0**-17, -(2.0**-17), 70000.25, -70000.25, 2.0**23])
    limbs = exact_sum.to_limbs(ops.convert_to_tensor(values.astype(accumulation_dtype())))
    exact = [
        Fraction(int(u)) * 2**16 + int(m) + Fraction(int(low), 2**16)
        for u, m, low in numbers(limbs).T
    ]
    for value, held in zip(values, exact, strict=True):
        assert Fraction(value) - Fraction(1, 2**16) < held <= Fraction(value)
    below = numbers(exact_sum.from_limbs_below(limbs))
    assert all(Fraction(float(b)) <= held for b, held in zip(below, exact, strict=True))
    many = numbers(exact_sum.carried(ops.convert_to_tensor(numbers(limbs) * 1000)))
    assert (many[1:] >= 0).all() and (many[1:] < 2**16).all()
    total = [int(u) * 2**32 + int(m) * 2**16 + int(low) for u, m, low in many.T]
    assert total == [int(held * 2**16) * 1000 for held in exact]


def test_a_grid_that_forgets_a_budget_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    surplus = data_set_iou.least_surplus
    monkeypatch.setattr(
        data_set_iou, "least_surplus", lambda t, r, c: surplus(t, r, ops.zeros_like(c))
    )
    new = data_set_iou.batch_surpluses(
        ops.convert_to_tensor(LOGITS),
        ops.convert_to_tensor(LABELS),
        None,
        *(ops.convert_to_tensor(np.asarray(v, accumulation_dtype())) for v in (1.0, 0.0)),
        ops.convert_to_tensor([0], "int32"),
        ops.convert_to_tensor(np.array([1.5], accumulation_dtype())),
        ops.ones((3,)),
        p=2,
        num_classes=3,
        ignore_class=None,
    )
    assert Fraction(float(worst_data_set_iou(new.limbs)[0, 0])) > exact_iou(0, 1.5)

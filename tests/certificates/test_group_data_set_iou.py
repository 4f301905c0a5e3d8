"""The IoU of groups of classes over a data set, against exact enumeration."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from deel_seg.certificates import CertifiedIoU, CertifiedIoUCurve, CertifiedMeanIoU
from deel_seg.certificates.class_groups import check_class_groups, members_with
from deel_seg.certificates.metrics import data_set_iou_metric
from tests.certificates.exact import SLACK, numbers
from tests.certificates.exact_groups import entering_cost, leaving_cost

GROUPS = ((0, 2), (3, 1))
PARTITION = check_class_groups(GROUPS, 5)
GENERATOR = np.random.default_rng(0)
LOGITS = GENERATOR.normal(size=(2, 2, 3, 5)).astype("float32")
LABELS = np.where(
    GENERATOR.random((2, 2, 3)) < 0.7, LOGITS.argmax(-1), GENERATOR.integers(0, 5, (2, 2, 3))
).astype("int32")
EPS = [0.0, 0.3, 0.8, 1.5]


def reachable(
    logits: np.ndarray, labels: np.ndarray, class_id: int, groups: Any, budget: Fraction
) -> set[Any]:
    """All `(intersection, union)` over subsets of the pixels of one image that the budget pays."""
    positive = [groups[label] == groups[class_id] for label in labels.ravel()]
    costs = []
    for pixel, kind in zip(logits.reshape(-1, 5), positive, strict=True):
        exact = [Fraction(float(z)) for z in pixel]
        price = leaving_cost if kind else entering_cost
        costs.append(price(exact, class_id, groups, 2))
    pairs, number = set(), sum(positive)
    for flipped in itertools.product((False, True), repeat=len(costs)):
        if sum(cost for cost, flip in zip(costs, flipped, strict=True) if flip) <= budget**2:
            lost = sum(flip and kind for flip, kind in zip(flipped, positive, strict=True))
            pairs.add((number - lost, number + sum(flipped) - lost))
    return pairs


def exact_iou(class_id: int, eps: float, groups: Any = PARTITION) -> Fraction:
    """Worst ratio of sums, by enumeration of what every image can do."""
    sums = {(0, 0)}
    for logits, labels in zip(LOGITS, LABELS, strict=True):
        pairs = reachable(logits, labels, class_id, groups, Fraction(eps))
        sums = {(a + c, b + d) for (a, b), (c, d) in itertools.product(sums, pairs)}
    return min(Fraction(a, b) for a, b in sums)


def certified(eps: float) -> tuple[Any, Fraction]:
    """What is certified of each group, by its first class, and of their mean."""
    metric = CertifiedMeanIoU(eps, 5, lipschitz_constant=1.0, class_groups=GROUPS)
    metric.update_state(LABELS, LOGITS)
    values = [Fraction(float(value)) for value in numbers(metric.class_values())]
    return dict(zip((0, 1, 4), values, strict=True)), Fraction(float(metric.result()))


@pytest.mark.parametrize("eps", EPS)
def test_never_above_the_exact_value(eps: float) -> None:
    values, mean = certified(eps)
    exact = {k: exact_iou(k, eps) for k in values}
    for k, value in values.items():
        assert value <= exact[k]
        # A fraction of a pixel of each image is what whole pixels may be worth.
        spare = Fraction(2 * 2, int(sum((LABELS == m).sum() for m in members_with(k, GROUPS))))
        assert value >= exact_iou(k, eps * (1 + 2 * float(SLACK))) - spare
    assert mean <= sum(exact.values()) / 3
    if eps == 0:
        # Sums in float32, under JAX, may take a hundredth of so few pixels.
        assert mean > sum(exact.values()) / 3 - Fraction(1, 100)


def test_the_check_tells_groups_from_classes() -> None:
    # What is certified of a group is more than holds for its class alone.
    assert certified(0.3)[0][1] > exact_iou(3, 0.3, range(5))


@pytest.mark.parametrize(("class_id", "groups"), [(2, PARTITION), (4, None)])
def test_the_groups_of_one_class(
    class_id: int, groups: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A class that stands alone is certified by what certifies classes without groups.
    def surpluses(*tensors: Any, class_groups: Any, **_: Any) -> Any:
        assert class_groups == groups and int(tensors[5][0]) == class_id
        raise InterruptedError

    monkeypatch.setattr(data_set_iou_metric, "compiled_batch_surpluses", surpluses)
    metric = CertifiedIoU(0.3, class_id, lipschitz_constant=1.0, class_groups=GROUPS)
    with pytest.raises(InterruptedError):
        metric.update_state(LABELS, LOGITS)


@pytest.mark.slow
def test_a_curve_over_groups() -> None:
    curve = CertifiedIoUCurve(EPS[1:2], 5, class_groups=GROUPS)
    curve.update(LOGITS, LABELS)
    values, mean = certified(EPS[1])
    result = curve.result()
    assert result.class_ids == tuple(values)
    # The bound of the metric, which is not yet rounded to float32.
    for value, bound in zip(result.iou[:, 0], values.values(), strict=True):
        assert bound * (1 - Fraction(1, 2**20)) <= Fraction(float(value)) <= bound
    assert Fraction(float(result.mean_iou[0])) == mean
    again = CertifiedIoUCurve(EPS[1:2], 5, class_groups=[(3, 1), (2, 0)])
    again.set_state(curve.get_state())
    assert (again.result().iou == result.iou).all()
    apart = CertifiedIoUCurve(EPS[1:2], 5, [0, 1, 4])
    with pytest.raises(ValueError, match=r"same options, with class_groups=.*Received"):
        apart.merge(curve)


def test_the_classes_of_a_curve_over_groups() -> None:
    assert CertifiedIoUCurve([0.1], 5, [2, 3], class_groups=GROUPS).class_ids == (2, 3)
    assert CertifiedIoUCurve([0.1], 5, ignore_class=0, class_groups=GROUPS).class_ids == (1, 2, 4)
    with pytest.raises(ValueError, match=r"one class of each group.*class_ids=\[2, 0\]"):
        CertifiedIoUCurve([0.1], 5, [2, 0], class_groups=GROUPS)
    with pytest.raises(ValueError, match=r"ids in \[0, 3\)"):
        CertifiedIoUCurve([0.1], 3, class_groups=GROUPS)


def test_the_mean_is_over_groups() -> None:
    assert CertifiedMeanIoU(0.3, 5, class_groups=GROUPS, ignore_class=0).class_ids == [1, 2, 4]
    assert CertifiedMeanIoU(0.3, 5, class_groups=[(0,)], ignore_class=0).class_ids == [1, 2, 3, 4]


def test_config_and_wrong_groups() -> None:
    for metric in (
        CertifiedIoU(0.1, 2, class_groups=GROUPS),
        CertifiedMeanIoU(0.2, 5, class_groups=GROUPS),
        CertifiedMeanIoU(0.2, 5),
    ):
        again = type(metric).from_config(metric.get_config())
        assert again.get_config() == metric.get_config() and again.class_ids == metric.class_ids
    with pytest.raises(ValueError, match=r"ids in \[0, 3\)"):
        CertifiedMeanIoU(0.1, 3, class_groups=GROUPS)
    with pytest.raises(ValueError, match="each class once"):
        CertifiedIoU(0.1, 0, class_groups=[(0, 1), (1, 2)])
    metric = CertifiedIoU(0.1, 0, lipschitz_constant=1.0, class_groups=[(0, 5)])
    with pytest.raises(ValueError, match=r"ids in \[0, 5\)"):
        metric.update_state(LABELS, LOGITS)

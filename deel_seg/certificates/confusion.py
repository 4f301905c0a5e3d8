"""Certified metrics of one class's confusion: the worst value (Q1) and the radius (Q2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from deel_seg._backend import is_concrete
from deel_seg.certificates.class_groups import Groups, check_class_groups, groups_around
from deel_seg.certificates.class_ids import check_class_id
from deel_seg.certificates.confusion_bounds import Metric, compiled_radius, compiled_worst_value
from deel_seg.certificates.inputs import (
    CertificateInputs,
    check_eps,
    check_inputs,
    check_labels_given,
)
from deel_seg.certificates.metric_check import certified, check_once

Tensor = Any


def worst_case_confusion_metric(
    metric: Callable,
    logits: Any,
    labels: Any,
    *,
    class_id: int,
    eps: Any,
    lipschitz_constant: Any = 1.0,
    p: float = 2,
    ignore_class: int | None = None,
    mask: Any = None,
    logit_tolerance: Any = 0.0,
    rounding: float = 0.0,
    class_groups: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    r"""Lower-bounds any metric of a class's confusion counts under any attack of size `eps`.

    Answers Q1: no perturbation with $\|\delta\|_p \le$ `eps` brings the metric of an image below
    the returned value, which is the least over all pairs of $i$ true positives lost and $j$ false
    positives gained that the budget pays for,

    $$\min \Big\{ h(|S_k| - i,\; j,\; i,\; |S \setminus S_k| - j) :
    \sum_{n \le i} c_n + \sum_{n \le j} d_n \le (L\epsilon)^p \Big\},$$

    where $S_k$ are the pixels labelled k = `class_id` of those that count, $c$ their costs of
    leaving class k and $d$ the costs of the others of becoming it, in increasing order, 0 where
    that is so already. A pixel in which class k ties with another counts as wrong.

    The metric must not rise when a true positive becomes a false negative, nor when a true
    negative becomes a false positive; see `check_confusion_metric`, which is called outside of
    graphs. The ready ones are in `deel_seg.certificates.confusion_metrics`.

    Args:
        metric: From `(tp, fp, fn, tn)` to a value, by `keras.ops` or arithmetic, entry by entry
            on tensors of one shape; or an `ExactMetric`. Hashable, and compiled once for each
            object: define it once, not in a loop.
        logits: `(batch, height, width, classes)`, floating point, before softmax and before any
            temperature; `classes = 1` is a binary model, whose prediction is `z > 0`.
        labels: `(batch, height, width)`, integer class ids.
        class_id: The class k; 0 or 1 for a binary model.
        eps: Budget `>= 0` in the units of the model input, or a 1-D sequence of budgets.
        lipschitz_constant: Proved upper bound `L > 0` of the map from image to `logits`, both
            measured in the l_p norm.
        p: Norm of the attack: 1, 2 or `inf`.
        ignore_class: Label of the pixels left out, such as 255 for void.
        mask: `(batch, height, width)`, bool; pixels outside are left out. `None` keeps all.
        logit_tolerance: How far each logit may be from its exact value; margins shrink by it.
        rounding: How far the values of `metric` may be from exact ones beyond 64 roundings of
            the dtype it gets, float64 (float32 under JAX without x64). The default is right for
            sums, products and quotients of the counts, none of them negative; where terms cancel,
            as in a correlation coefficient, say how much. An `ExactMetric` needs none.
        class_groups: Disjoint groups of class ids that count as one, such as `[(11, 13, 14)]`.
            With a class of a group the certificate is about the whole group: labels of any member,
            lost when another group is predicted, and pixels that become any member. Classes in no
            group stand alone.

    Returns:
        `(batch,)`, or `(batch, len(eps))` for a sequence; float32, rounded down: for an
            `ExactMetric` to a multiple of 2^-24, else by the roundings above and 2^-22 of the
            value. NaN for an image where no pixel counts or where a perfect prediction has no
            value, and in a graph for an image with NaN or infinite logits or a label that names
            no class.

    Raises:
        ValueError: When an argument has the wrong shape or value; outside a graph also for NaN
            or infinite logits, for labels that name no class, and for a metric that rises.

    Example:
    The positive pixels have margins 1 and 3, the others 2 and 2, so radii 0.71, 2.12 and 1.41.

    >>> import numpy as np
    >>> from deel_seg.certificates import confusion_metrics, worst_case_confusion_metric
    >>> logits = np.array([[[[1.0, 0.0], [3.0, 0.0], [0.0, 2.0], [0.0, 2.0]]]], dtype="float32")
    >>> labels = np.array([[[0, 0, 1, 1]]])
    >>> dice = worst_case_confusion_metric(
    ...     confusion_metrics.dice, logits, labels, class_id=0, eps=[0.5, 1.0, 3.0]
    ... )
    >>> print(", ".join(f"{float(value):.4f}" for value in dice[0]))
    1.0000, 0.6667, 0.0000

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 27-29,
        Appendix B, there for the IoU.
    """
    certified_metric, inputs = _check(
        metric,
        logits,
        labels,
        mask,
        rounding=rounding,
        lipschitz_constant=lipschitz_constant,
        p=p,
        ignore_class=ignore_class,
        logit_tolerance=logit_tolerance,
    )
    budgets, is_sequence = check_eps(eps)
    class_tensor, groups = _class_and_groups(inputs, class_id, class_groups)
    values = inputs.certify(
        compiled_worst_value,
        class_tensor,
        budgets,
        metric=certified_metric,
        class_groups=groups,
    )
    return values if is_sequence else values[:, 0]


def confusion_metric_radius(
    metric: Callable,
    logits: Any,
    labels: Any,
    *,
    class_id: int,
    threshold: Any,
    relative: bool = False,
    lipschitz_constant: Any = 1.0,
    p: float = 2,
    ignore_class: int | None = None,
    mask: Any = None,
    logit_tolerance: Any = 0.0,
    rounding: float = 0.0,
    class_groups: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    r"""Lower-bounds the attack size that brings a metric of each image to `threshold` or below.

    Answers Q2: the least total cost over the pairs $(i, j)$ of `worst_case_confusion_metric` after
    which the metric is at most $\gamma$ = `threshold`,

    $$\frac{1}{L} \min \Big\{ \sum_{n \le i} c_n + \sum_{n \le j} d_n :
    h(|S_k| - i,\; j,\; i,\; |S \setminus S_k| - j) \le \gamma \Big\}^{1/p},$$

    over all pairs, with no search over budgets. Below it, the value of
    `worst_case_confusion_metric` stands above the threshold, up to the rounding of that value.

    Args:
        metric: As in `worst_case_confusion_metric`. Of an `ExactMetric` the threshold is exact.
        logits: `(batch, height, width, classes)`, see there.
        labels: `(batch, height, width)`, integer class ids.
        class_id: The class; 0 or 1 for a binary model.
        threshold: Value to fall to. For an `ExactMetric` in `[0, 1]` and read in its decimal form,
            at most six decimals, or a `fractions.Fraction` of denominator at most 10^6.
        relative: Whether `threshold` is a share, in `[0, 1]`, of the metric's clean value: 0.5
            asks for the metric to fall to half. A pixel in which the class ties with another
            counts in favour of the clean value.
        lipschitz_constant: Proved upper bound `L > 0` of the map from image to `logits`.
        p: Norm of the attack: 1, 2 or `inf`.
        ignore_class: Label of the pixels left out, such as 255 for void.
        mask: `(batch, height, width)`, bool; pixels outside are left out. `None` keeps all.
        logit_tolerance: How far each logit may be from its exact value; margins shrink by it.
        rounding: As in `worst_case_confusion_metric`.
        class_groups: Disjoint groups of class ids that count as one, see there.

    Returns:
        `(batch,)`, float32, in the units of the model input, rounded down; infinite where no
            attack brings the metric that low, and NaN as in `worst_case_confusion_metric`.

    Raises:
        ValueError: As `worst_case_confusion_metric`, and for a threshold out of range.

    Example:
    Dice falls to 4/5 with both pixels of the class found and one false positive, or to 2/3 with
    one of them lost, which costs less.

    >>> import numpy as np
    >>> from deel_seg.certificates import confusion_metric_radius, confusion_metrics
    >>> logits = np.array([[[[1.0, 0.0], [3.0, 0.0], [0.0, 2.0], [0.0, 2.0]]]], dtype="float32")
    >>> labels = np.array([[[0, 0, 1, 1]]])
    >>> radius = confusion_metric_radius(
    ...     confusion_metrics.dice, logits, labels, class_id=0, threshold=0.8
    ... )
    >>> print(f"{float(radius[0]):.4f}")
    0.7071

    References:
        Fast and Flexible Robustness Certificates for Semantic Segmentation: Eq. 5, Eq. 27-29.
    """
    certified_metric, inputs = _check(
        metric,
        logits,
        labels,
        mask,
        rounding=rounding,
        lipschitz_constant=lipschitz_constant,
        p=p,
        ignore_class=ignore_class,
        logit_tolerance=logit_tolerance,
    )
    class_tensor, groups = _class_and_groups(inputs, class_id, class_groups)
    return inputs.certify(
        compiled_radius,
        class_tensor,
        certified_metric.read_threshold(threshold, relative=relative),
        metric=certified_metric,
        relative=bool(relative),
        class_groups=groups,
    )


def _check(
    metric: Callable, logits: Any, labels: Any, mask: Any, *, rounding: float, **options: Any
) -> tuple[Metric, CertificateInputs]:
    certified_metric = certified(metric, rounding)
    check_labels_given(labels)
    inputs = check_inputs(logits, labels, mask, **options)
    if is_concrete(*inputs.tensors[:2]):
        check_once(certified_metric)
    return certified_metric, inputs


def _class_and_groups(
    inputs: CertificateInputs, class_id: Any, class_groups: Any
) -> tuple[Tensor, Groups | None]:
    static = inputs.static
    checked = check_class_id(
        "class_id",
        class_id,
        num_classes=static["num_classes"],
        ignore_class=static["ignore_class"],
    )
    groups = check_class_groups(class_groups, static["num_classes"])
    return ops.convert_to_tensor(checked, "int32"), groups_around(checked, groups)

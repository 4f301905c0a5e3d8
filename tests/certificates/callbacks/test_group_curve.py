"""A curve in which some classes count as one."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from deel_seg.certificates import (
    CertifiedIoUCurve,
    pixel_radius,
    stability_radius,
    worst_case_pixel_accuracy,
    worst_case_stability,
)
from deel_seg.certificates.callbacks.curve_totals import mean_below
from tests.certificates.callbacks.example import DATA, EPS, curve_over, is_float_below, mean
from tests.certificates.exact import numbers
from tests.certificates.metrics.example import LOGITS, VOID_LABELS, compiled_model, identity_model

GROUPS = [(2, 0)]  # Of three classes.
GROUP_OF = np.array([0, 1, 0])
OPTIONS: dict[str, Any] = {"ignore_class": 255, "class_groups": GROUPS}


def means(values: Any) -> list[float]:
    """Means over the images with a value, for each budget."""
    values = numbers(values)
    return [mean_below(column) for column in values[~np.isnan(values[:, 0])].T]


@pytest.mark.slow
@pytest.mark.one_backend
def test_every_column_is_about_groups() -> None:
    curve = curve_over(certified_iou=True, class_ids=[2], class_groups=GROUPS)
    columns = curve.evaluate(identity_model())
    accuracy = worst_case_pixel_accuracy(LOGITS, VOID_LABELS, eps=EPS, **OPTIONS)
    assert columns["crpa"] == means(accuracy)
    stability = worst_case_stability(LOGITS, labels=VOID_LABELS, eps=EPS, **OPTIONS)
    assert columns["crs"] == means(stability)
    radii = stability_radius(LOGITS, labels=VOID_LABELS, **OPTIONS)
    assert columns["stability@50"][0] == pytest.approx(means(radii[:, None])[0], rel=1e-4)
    reference = CertifiedIoUCurve(EPS, 3, **OPTIONS)
    for images, labels in DATA:
        reference.update(images, labels)
    result = reference.result()
    assert columns["certified_mean_iou"] == result.mean_iou.tolist()
    assert columns["certified_iou_2"] == result.iou[0].tolist()


@pytest.mark.slow
@pytest.mark.one_backend
def test_clean_values_are_about_groups() -> None:
    columns = curve_over(class_groups=GROUPS).evaluate(identity_model())
    kept = VOID_LABELS != 255
    predicted = GROUP_OF[LOGITS.argmax(-1)]
    labels = GROUP_OF[np.where(kept, VOID_LABELS, 0)]
    accuracies = [
        Fraction(int((p == t)[k].sum()), int(k.sum()))
        for p, t, k in zip(predicted, labels, kept, strict=True)
        if k.any()
    ]
    assert is_float_below(columns["pixel_accuracy"][0], mean(accuracies))
    ious = [
        Fraction(
            int((kept & (predicted == group) & (labels == group)).sum()),
            int((kept & ((predicted == group) | (labels == group))).sum()),
        )
        for group in (0, 1)
    ]
    assert is_float_below(columns["mean_iou"][0], mean(ious))
    # A curve of classes apart is another one.
    apart = curve_over().evaluate(identity_model())
    for name in ("pixel_accuracy", "mean_iou", "crpa", "crs"):
        assert apart[name][0] < columns[name][0]


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_groups": [(0, 1), (1, 2)]}, "each class once"),
        ({"class_groups": [(0, 3)]}, r"ids in \[0, 3\)"),
        (
            {"class_groups": GROUPS, "certified_iou": True, "class_ids": [0, 2]},
            "one class of each group",
        ),
    ],
)
def test_groups_that_are_none(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        curve_over(**options).evaluate(identity_model())


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorBoard needs TensorFlow")
def test_tensorboard_holds_all_of_it(tmp_path: Path) -> None:
    import tensorflow as tf

    from deel_seg.certificates.callbacks.curve_board import _single
    from deel_seg.certificates.callbacks.radius_pictures import radius_picture
    from tests.certificates.callbacks.test_tensorboard import events

    curve = curve_over(
        certified_iou=True,
        class_ids=[2],
        class_groups=GROUPS,
        tensorboard=tmp_path,
        num_images=1,
    )
    model = compiled_model()
    history = model.fit(LOGITS, VOID_LABELS, verbose=0, callbacks=[curve]).history
    found = events(tmp_path)
    names = {"val_certified_mean_iou@0_1", "val_certified_iou_2@0_5", "val_crpa@0_1"}
    for name in names:
        value = float(tf.make_ndarray(found[name, 0].tensor))
        assert value == _single(history[name][0], up=False) and value > 0
    *_, encoded = tf.make_ndarray(found["val_radius", 0].tensor).tolist()
    radius = numbers(pixel_radius(LOGITS[:1], VOID_LABELS[:1], **OPTIONS))[0]
    picture = radius_picture(radius.astype("float32"), max(EPS))
    assert (tf.io.decode_png(encoded).numpy() == picture).all()

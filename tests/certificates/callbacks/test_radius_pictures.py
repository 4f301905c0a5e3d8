from __future__ import annotations

import math

import numpy as np
from keras import ops

from deel_seg.certificates.callbacks.radius_pictures import (
    certified_picture,
    radius_maps,
    radius_picture,
)
from tests.certificates.exact import numbers
from tests.certificates.metrics.example import LOGITS, VOID_LABELS

GREEN, YELLOW, RED, GREY = [0, 158, 115], [240, 228, 66], [213, 94, 0], [204, 204, 204]


def test_kinds_of_pixels() -> None:
    radius = np.array([[0.0, 0.05, 0.2, np.nan]], "float32")
    assert certified_picture(radius, 0.1).tolist() == [[RED, YELLOW, GREEN, GREY]]


def test_a_tie_is_not_certified() -> None:
    single = np.float32(0.1)  # Above the 0.1 of a Python float, by a rounding.
    radius = np.array([[single, np.nextafter(single, np.float32(0.0))]])
    assert certified_picture(radius, 0.1).tolist() == [[GREEN, YELLOW]]
    assert certified_picture(radius, float(single)).tolist() == [[YELLOW, YELLOW]]
    assert certified_picture(radius, 0.0).tolist() == [[GREEN, GREEN]]


def test_radii_from_dark_to_bright() -> None:
    radius = np.array([[0.0, 0.25, 0.5, 9.0, np.inf, np.nan]], "float32")
    picture = radius_picture(radius, 0.5)
    assert picture.dtype == np.uint8
    assert picture[0, 0].tolist() == [68, 1, 84]
    assert picture[0, 2].tolist() == picture[0, 3].tolist() == [253, 231, 37]
    assert picture[0, 4].tolist() == [253, 231, 37]
    assert picture[0, 5].tolist() == GREY
    assert (np.diff(picture[0, :3].sum(-1).astype(int)) > 0).all()


def test_maps_are_those_of_the_function_and_nan_where_not_finite() -> None:
    logits = LOGITS[:4].copy()
    logits[1, 0, 0, 0] = math.nan
    tensors = (ops.convert_to_tensor(x) for x in (logits, VOID_LABELS[:4]))
    maps = radius_maps(*tensors, 2.0, p=2, ignore_class=255, logit_tolerance=0.0)
    assert np.isnan(maps[1]).all() and np.isnan(maps[3]).all()
    kept = VOID_LABELS[0] != 255
    np.testing.assert_array_equal(np.isnan(maps[0]), ~kept)
    right = LOGITS[0].argmax(-1) == VOID_LABELS[0]
    np.testing.assert_array_equal(maps[0][kept] > 0, right[kept])
    top = np.sort(LOGITS[0].astype("float64"), axis=-1)
    margins = (top[..., -1] - top[..., -2]) / math.sqrt(2) / 2
    assert (maps[0][right] <= margins[right]).all()
    assert (numbers(maps[0])[right] > 0.999 * margins[right]).all()

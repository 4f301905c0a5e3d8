from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from deel_seg.certificates.callbacks.curve_data import batches, check_data
from tests.certificates.callbacks.example import DATA


class Sequence(keras.utils.PyDataset):
    """The same batches, by number."""

    def __len__(self) -> int:
        return len(DATA)

    def __getitem__(self, index: int) -> Any:
        return DATA[index]


def loaded(repeat: bool = False) -> Any:
    tf = pytest.importorskip("tensorflow")
    data = tf.data.Dataset.from_generator(
        lambda: DATA,
        output_signature=(
            tf.TensorSpec((None, 4, 5, 3), tf.float32),
            tf.TensorSpec((None, 4, 5), tf.int64),
        ),
    )
    return data.apply(tf.data.experimental.assert_cardinality(2)).repeat(None if repeat else 1)


@pytest.mark.parametrize("make", [lambda: DATA, lambda: tuple(DATA), Sequence, loaded])
def test_every_pass_gives_the_same_batches(make: Any) -> None:
    data = check_data(make(), None)
    for _ in range(2):
        given = list(batches(data, None))
        for (images, labels), (expected, expected_labels) in zip(given, DATA, strict=True):
            assert ops.is_tensor(images) and ops.is_tensor(labels)
            np.testing.assert_array_equal(ops.convert_to_numpy(images), expected)
            np.testing.assert_array_equal(ops.convert_to_numpy(labels), expected_labels)


def test_steps_limit_a_pass() -> None:
    assert len(list(batches(DATA, 1))) == 1
    assert len(list(batches(check_data(loaded(repeat=True), 3), 3))) == 3


def test_data_for_one_pass_only_are_refused() -> None:
    for data in ((batch for batch in DATA), iter(DATA), 3, None):
        with pytest.raises(ValueError, match="each time that it is iterated"):
            check_data(data, None)
    with pytest.raises(ValueError, match=r"endless: pass steps=.*steps=None"):
        check_data(loaded(repeat=True), None)


@pytest.mark.parametrize(
    "data", [(DATA[0][0], DATA[0][1]), [DATA[0][0]], [(*DATA[0], 1.0)], [{"image": 1}]]
)
def test_other_batches_are_refused(data: Any) -> None:
    with pytest.raises(ValueError, match=re.escape("batches (images, labels). Received")):
        list(batches(data, None))


def test_no_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one batch"):
        list(batches([], None))


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_wide_labels_do_not_wrap_around_to_classes(dtype: str) -> None:
    labels = np.array([[[0, 1, 2**32, 2**32 + 1]]], dtype)
    ((_, given),) = batches([(np.zeros((1, 1, 4, 3), "float32"), labels)], None)
    assert ops.convert_to_numpy(given).tolist() == [[[0, 1, 2**31 - 1, 2**31 - 1]]]

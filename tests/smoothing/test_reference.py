"""What is timed as the published statistics certifies the same pixels."""

from __future__ import annotations

import numpy as np

from benchmarks.reference_smoothing import certify_pixel_by_pixel
from deel_seg.smoothing import Counts, SegCertify, probability_for


def test_the_same_pixels_are_certified() -> None:
    generator = np.random.default_rng(0)
    predictions = generator.integers(0, 3, (60, 8, 9))
    predictions[:, generator.random((8, 9)) < 0.6] = 2
    expected = certify_pixel_by_pixel(predictions, 10, probability_for(0.1, 0.25), 0.001)
    top = np.array(
        [
            [np.bincount(column[:10]).argmax() for column in row]
            for row in predictions.transpose(1, 2, 0)
        ]
    )
    hits = np.sum(predictions[10:] == top, axis=0)
    smoothed = SegCertify(lambda x: x, 3, 0.25, samples=50)
    found = smoothed.certify(Counts(top[None], hits[None], 50, np.array([50])), eps=0.1)
    np.testing.assert_array_equal(found.classes[0], expected)
    assert 0 < np.sum(expected >= 0) < expected.size

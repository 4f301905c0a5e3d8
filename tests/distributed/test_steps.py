"""Losses and metrics on two replicas, without a network around them."""

from __future__ import annotations

import keras
import pytest

from tests.distributed.devices import on_two_devices

if keras.backend.backend() != "tensorflow":
    pytest.skip("replicas are tf.distribute's", allow_module_level=True)


def test_losses_and_metrics_are_those_of_the_whole_batch() -> None:
    found = on_two_devices("distributed.losses_and_metrics")
    losses = found["losses"]
    assert len(losses) == 8
    for name, (values, gradients, size) in losses.items():
        assert values < 1e-6 and gradients < 1e-7 < size, (name, values, gradients, size)
    # Means of each replica alone are others: here void pixels are spread unevenly.
    assert found["broken_loss"] > 1e-4

    for name, (one, two, again, first) in found["metrics"].items():
        assert two == again, name
        # Replicas' own sums are rounded alike; those of the IoU are of integers.
        assert two == pytest.approx(one, abs=0 if "iou" in name else 1e-6), name
        assert abs(first - one) > 1e-3, f"{name} would be the same of half the images"
    assert len(found["metrics"]) == 5
    assert "Metric `crpa` must be made under the strategy" in found["refusal"]

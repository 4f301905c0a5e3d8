"""Sampling on several devices: every batch of an image is classified once, with the same noise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deel_seg.smoothing import SegCertify

# Devices are fixed when a backend starts: two of them take a process of their own.
SCRIPT = """
import keras
import numpy as np

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    (processor,) = tf.config.list_physical_devices("CPU")
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(processor, two)

import deel_seg
from deel_seg import _devices
from deel_seg.smoothing import SegCertify, sampling

keras.utils.set_random_seed(0)
used = set()
on_device = _devices.on_device
sampling.on_device = lambda device: used.add(device) or on_device(device)
model = deel_seg.LipFCN({"widths": [4], "convolutions": 1}, 3)
images = np.random.default_rng(0).uniform(size=(2, 8, 8, 3)).astype("float32")
options = {"first_samples": 5, "samples": 23, "batch_size": 4, "alpha": 0.1}
devices = keras.distribution.list_devices("cpu")
assert len(devices) == 2, devices
for network in (model, lambda x: x):
    alone, both = (
        SegCertify(network, 3, 0.3, devices=where, **options) for where in (None, devices)
    )
    for _ in range(2):
        for found, expected in zip(both.sample(images), alone.sample(images)):
            np.testing.assert_array_equal(found, expected)
        assert len(np.unique(alone.sample(images).hits)) > 3
        kernel = next(layer.kernel for layer in model.layers if hasattr(layer, "kernel"))
        kernel.assign(-kernel)  # Weights of the moment count.
    # An end of sampling comes later where several batches are under way; verdicts are the same.
    for eps in (0.02, 0.1):
        same = [each(images, eps=eps).classes for each in (alone, both)]
        np.testing.assert_array_equal(*same)
assert used == {None, *devices}, used
print("same on", *devices)
"""


@pytest.mark.one_backend
def test_two_devices_count_what_one_does() -> None:
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
    )
    assert "same on cpu:0 cpu:1" in found.stdout, found.stderr[-2000:]


@pytest.mark.parametrize(
    "devices", [[], ["cpu:7"], ["cpu:0", "cpu:0"], "gpu:99", ["quantum:0"], [0]]
)
def test_devices_that_are_not_there_are_named(devices: object) -> None:
    with pytest.raises(ValueError, match="`devices` must name devices"):
        SegCertify(lambda x: x, 3, 0.3, devices=devices)  # type: ignore[arg-type]

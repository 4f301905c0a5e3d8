"""Scripts on two devices: those are fixed when a backend starts, so they take a process each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras

XLA_FLAGS = [
    "--xla_force_host_platform_device_count=2",
    # What takes JAX longest is to compile: one device and two are compared as well without.
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
]


def split_processor() -> None:
    """Makes two devices of the processor; to be called before anything is computed."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        (processor,) = tf.config.list_physical_devices("CPU")
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(processor, two)


def on_two_devices(script: str, *arguments: str) -> dict[str, Any]:
    """What a script of the tests prints in its last line, as JSON."""
    result = subprocess.run(
        [sys.executable, "-m", f"tests.{script}", *arguments],
        cwd=Path(__file__).parents[2],
        env={
            **os.environ,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            # With oneDNN TensorFlow's convolution of an empty batch has the wrong shape.
            "TF_ENABLE_ONEDNN_OPTS": "0",
            "XLA_FLAGS": " ".join(XLA_FLAGS),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    return json.loads(result.stdout.splitlines()[-1])

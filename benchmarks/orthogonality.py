"""How far the kernels of a network are from orthogonal after a thousand steps of training.

    python benchmarks/orthogonality.py              float32, mixed_bfloat16 and mixed_float16
    python benchmarks/orthogonality.py float32 --steps 20 --out FILE

Config S trains on drawn shapes with AdamW at a rate of 5e-3. Then the singular values of each layer
are found in float64, by the Fourier transform of its kernel on a torus: the largest, and the
smallest of those that an orthogonal map of that shape has at 1. Writes
benchmarks/results/orthogonality.json, where what was found for other policies stays.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402

import deel_seg  # noqa: E402
from benchmarks.machine import describe_machine  # noqa: E402
from deel_seg.layers.orthogonal_convolution import OrthogonalConvolution  # noqa: E402
from tests.linear_map import symbol_singular_values  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "orthogonality.json"
POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")
TORUS = 8  # Pixels a side; a multiple of the strides, and larger than the kernels.
SIZE = 16
BATCH_SIZE = 4


def train(policy: str, steps: int) -> keras.Model:
    """A network after that many steps."""
    keras.utils.set_random_seed(0)
    data = deel_seg.data.load(
        "shapes", "train", SIZE, batch_size=BATCH_SIZE, num_images=64, augment=True, repeat=True
    )
    info = deel_seg.data.info("shapes")
    dtype = keras.dtype_policies.get(policy)
    model = deel_seg.LipDeepLabV3("S", num_classes=info.num_classes, dtype=dtype)
    model.compile(
        keras.optimizers.AdamW(5e-3, weight_decay=1e-4),
        deel_seg.losses.TemperatureCrossentropy(20.0, ignore_class=info.ignore_class),
    )
    model.fit(data, steps_per_epoch=steps, shuffle=False, verbose=0)
    return model


def measure(policy: str, steps: int) -> dict[str, Any]:
    """Extremes over the layers."""
    start = time.perf_counter()
    model = train(policy, steps)
    layers = {}
    for layer in model.layers:
        if isinstance(layer, OrthogonalConvolution):
            kernel = keras.ops.convert_to_numpy(layer.effective_kernel(training=True))
            values = symbol_singular_values(kernel, TORUS, stride=layer.strides[0])
            layers[layer.name] = {"largest": float(values.max()), "smallest": float(values.min())}
    return {
        "steps": steps,
        "seconds": time.perf_counter() - start,
        "layers": layers,
        "largest": max(each["largest"] for each in layers.values()),
        "smallest": min(each["smallest"] for each in layers.values()),
    }


def main() -> None:
    """Trains and writes the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("policies", nargs="*", choices=[*POLICIES, []])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    found: dict[str, Any] = {"policies": {}}
    if arguments.out.exists():
        found = json.loads(arguments.out.read_text())
    for policy in arguments.policies or POLICIES:
        measured = measure(policy, arguments.steps)
        found["policies"][policy] = {"machine": describe_machine("tensorflow"), **measured}
        print(policy, measured["smallest"], measured["largest"], flush=True)
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

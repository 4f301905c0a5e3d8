"""Times a certificate by a constant beside SegCertify, with fast statistics and published ones.

    python benchmarks/smoothing.py                    128x128 and 1024x1024: minutes
    python benchmarks/smoothing.py --sizes 128        one of them
    KERAS_BACKEND=jax python benchmarks/smoothing.py --out FILE

The same network, machine and run: config S, and one with a quarter of its channels, for what weighs
how much depends on the network's speed. They are not trained: times do not depend on that.
A certificate is a forward pass and CRPA; SegCertify is forward passes of noisy copies, and then
statistics: from one table of all counts, or pixel by pixel as published (`reference_smoothing`), of
which large images have a part timed. All take turns, those that are long three. Their medians go to
benchmarks/results/smoothing_BACKEND.json, of which `benchmarks/report_smoothing.py` makes a table.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import ops  # noqa: E402

import deel_seg  # noqa: E402
from benchmarks.certificate_candidates import Candidate  # noqa: E402
from benchmarks.machine import describe_machine  # noqa: E402
from benchmarks.reference_smoothing import certify_pixel_by_pixel  # noqa: E402
from benchmarks.turns import take_turns  # noqa: E402
from deel_seg._inference import compiled_inference  # noqa: E402
from deel_seg.certificates import worst_case_pixel_accuracy  # noqa: E402
from deel_seg.smoothing import SegCertify, probability_for  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
CLASSES, EPS, SIGMA, ALPHA = 19, 0.1, 0.25, 0.001
FIRST, SAMPLES = 10, 90
CONFIGS: dict[str, Any] = {
    "S": "S",
    "a quarter of S": {"widths": [8, 16, 32], "aspp_rates": [6, 12, 18]},
}
SECONDS = 5  # After so many what is slow has had turns enough, of which it has at least 3.
ROWS = 64  # Rows of an image whose pixels are tested one by one, at most.


def measure(config: Any, size: int, turns: int) -> dict[str, float]:
    """Seconds of one image."""
    keras.utils.set_random_seed(0)
    model = deel_seg.LipDeepLabV3(config, num_classes=CLASSES)
    model.condense()
    model.compile()
    infer = compiled_inference(model)
    generator = np.random.default_rng(0)
    image = generator.random((1, size, size, 3), dtype="float32")
    labels = ops.convert_to_tensor(generator.integers(0, CLASSES, (1, size, size)))

    def certificate() -> Any:
        logits = infer(ops.convert_to_tensor(image))
        return ops.convert_to_numpy(worst_case_pixel_accuracy(logits, labels, eps=EPS))

    smoothed = SegCertify(
        model, CLASSES, SIGMA, first_samples=FIRST, samples=SAMPLES, alpha=ALPHA, batch_size=2
    )
    counts = smoothed.sample(image)  # Compiles as well.
    rows = min(ROWS, size)
    predictions = generator.integers(0, CLASSES, (FIRST + SAMPLES, rows, size))
    predictions[:, generator.random((rows, size)) < 0.9] = 3  # Most pixels are clear.
    probability = probability_for(EPS, SIGMA)
    candidates = {
        "certificate": certificate,
        "sampling": lambda: smoothed.sample(image),
        "statistics": lambda: smoothed.certify(counts, eps=EPS),
        "published_statistics": lambda: certify_pixel_by_pixel(
            predictions, FIRST, probability, ALPHA
        ),
    }
    timed = take_turns(
        {name: Candidate(call) for name, call in candidates.items()},
        turns, SECONDS, 0, partial(print, flush=True),
    )  # fmt: skip
    medians = {name: each["median"] for name, each in timed.items()}
    return {**medians, "published_statistics": medians["published_statistics"] * size / rows}


def main() -> None:
    """Measures and writes the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--sizes", type=int, nargs="+", default=[128, 1024])
    add("--turns", type=int, default=21)
    add("--out", type=Path)
    arguments = parser.parse_args()
    backend = keras.backend.backend()
    path = arguments.out or RESULTS / f"smoothing_{backend}.json"
    found: dict[str, Any] = {
        "machine": describe_machine(backend),
        "eps": EPS, "sigma": SIGMA, "alpha": ALPHA, "samples": FIRST + SAMPLES,
        "networks": {name: {} for name in CONFIGS},
    }  # fmt: skip
    for name, config in CONFIGS.items():
        for size in arguments.sizes:
            seconds = measure(config, size, arguments.turns)
            found["networks"][name][str(size)] = seconds
            print(name, size, seconds, flush=True)
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

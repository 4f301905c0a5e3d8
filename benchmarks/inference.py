"""Times a condensed Lipschitz network with its certificates against its twin's bare forward pass.

    python benchmarks/inference.py                           all settings of a processor, minutes
    python benchmarks/inference.py S_128_8                   some of them
    KERAS_BACKEND=jax python benchmarks/inference.py --gpu   those of a GPU

Logits, CRPA(0.1) and stability@50 come from one compiled call, with the constant that is proved
from the weights. `network` is the library's network, condensed as `predict` and `evaluate` use it,
and `exported` what `vanilla_export` makes of it. All are called by turns, each waited for. Each
setting goes to benchmarks/results/inference_BACKEND.json as soon as it is there; one that is there
is not measured again, but with --force. `benchmarks/report_performance.py` makes the table of it.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402

import deel_seg  # noqa: E402
from benchmarks.certificate_candidates import BACKEND, Candidate  # noqa: E402
from benchmarks.kept_settings import measure_missing  # noqa: E402
from benchmarks.turns import take_turns  # noqa: E402
from deel_seg.certificates import stability_radius, worst_case_pixel_accuracy  # noqa: E402
from deel_seg.layers import BatchCentering  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / f"inference_{BACKEND}.json"
CLASSES = 19
EPS = 0.1


class Setting(NamedTuple):
    """What is called, and how often."""

    config: str
    size: int
    batch_size: int
    turns: int = 31
    dtype: str = "float32"


SETTINGS = {
    "S_128_8": Setting("S", 128, 8),
    "S_512_1": Setting("S", 512, 1),
    "M1_128_8": Setting("M1", 128, 8),
    "M1_512_1": Setting("M1", 512, 1, turns=15),
}
GPU_SETTINGS = {
    "S_128_8": Setting("S", 128, 8),
    "S_512_1": Setting("S", 512, 1),
    "M2_1024_1": Setting("M2", 1024, 1),
    "M2_1024_1_bfloat16": Setting("M2", 1024, 1, dtype="mixed_bfloat16"),
}


def compiled(network: keras.Model, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function(logits, labels)` of a network's logits, as one compiled call on tensors."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        # Without XLA for the network, as Keras has it on a processor; certificates bring theirs.
        return tf.function(
            lambda images, labels: function(network(images, training=False), labels),
            jit_compile=bool(tf.config.list_physical_devices("GPU")),
        )
    import jax

    weights = [
        [variable.value for variable in group]
        for group in (network.trainable_variables, network.non_trainable_variables)
    ]

    @jax.jit
    def call(weights: Any, images: Any, labels: Any) -> Any:
        logits, _ = network.stateless_call(*weights, images, training=False)
        return function(logits, labels)

    return functools.partial(call, weights)


def wait(result: Any) -> None:
    """Until everything was computed."""
    for value in keras.tree.flatten(result):
        keras.ops.convert_to_numpy(value[..., :1])


def center(network: keras.Model, generator: np.random.Generator) -> None:
    """Gives the centerings means, as training does: shifts by zero are left out of a graph."""
    for layer in network.layers:
        if isinstance(layer, BatchCentering):
            layer.moving_mean.assign(generator.normal(0.0, 0.1, layer.moving_mean.shape))


def candidates(setting: Setting) -> dict[str, Candidate]:
    """The calls to time, on images that are there."""
    keras.utils.set_random_seed(0)
    policy = keras.dtype_policies.get(setting.dtype)
    network = deel_seg.LipDeepLabV3(setting.config, num_classes=CLASSES, dtype=policy)
    twin = deel_seg.DeepLabV3(setting.config, num_classes=CLASSES, dtype=policy)
    generator = np.random.default_rng(0)
    center(network, generator)
    network.condense()
    certify = functools.partial(certificates, constant=network.proved_constant())
    shape = (setting.batch_size, setting.size, setting.size)
    images = keras.ops.convert_to_tensor(generator.random((*shape, 3), dtype="float32"))
    labels = keras.ops.convert_to_tensor(generator.integers(0, CLASSES, shape), "int32")

    def bare(logits: Any, labels: Any) -> Any:
        return logits

    calls = {
        "twin": compiled(twin, bare),
        "network": compiled(network, certify),
        "exported": compiled(network.vanilla_export(), certify),
        "network without certificates": compiled(network, bare),
        "exported without certificates": compiled(network.vanilla_export(), bare),
    }
    return {
        name: Candidate(functools.partial(call, images, labels), wait)
        for name, call in calls.items()
    }


def certificates(logits: Any, labels: Any, *, constant: float) -> Any:
    """Logits, CRPA and stability@50 of each image."""
    logits = keras.ops.cast(logits, "float32")
    return (
        logits,
        worst_case_pixel_accuracy(logits, labels, eps=EPS, lipschitz_constant=constant),
        stability_radius(logits, fraction=0.5, lipschitz_constant=constant),
    )


def measure(setting: Setting) -> dict[str, Any]:
    """Seconds of every call, and how many times the twin's median that is."""
    # 1e6 seconds: as many turns of all.
    timed = take_turns(
        candidates(setting), setting.turns, 1e6, 0, functools.partial(print, flush=True)
    )
    twin = timed["twin"]["median"]
    return {
        **setting._asdict(),
        "seconds": timed,
        "times_the_twin": {name: values["median"] / twin for name, values in timed.items()},
    }


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("settings", nargs="*", help="names of settings; all where there is none")
    add("--gpu", action="store_true", help="the settings for a GPU")
    add("--toy", action="store_true", help="the same settings, at a size that takes seconds")
    add("--force", action="store_true", help="measure what is there once more")
    add("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def main() -> None:
    """Measures what is not there yet."""
    arguments = parse_arguments()

    def measured(setting: Setting) -> dict[str, Any]:
        if arguments.toy:
            setting = setting._replace(config="S", size=16, batch_size=1, turns=3)
        result = measure(setting)
        for kind, ratio in result["times_the_twin"].items():
            print(f"  {kind}: {ratio:.3f} times the twin", flush=True)
        return result

    settings = GPU_SETTINGS if arguments.gpu else SETTINGS
    names, force = arguments.settings, arguments.force
    measure_missing(arguments.out, BACKEND, settings, names, measured, force=force)


if __name__ == "__main__":
    main()

"""Times training steps of Lipschitz networks against those of their unconstrained twins.

    python benchmarks/training.py                            all settings of a processor, an hour
    python benchmarks/training.py S_128_8                    some of them
    python benchmarks/training.py S_128_8 --torch PYTHON     beside orthogonium's layers
    KERAS_BACKEND=jax python benchmarks/training.py --gpu    the paper's Table 5, on a GPU

Both networks train in `model.fit` by turns of a few steps, and each turn gives one ratio. Peak
memory is that of a process which trains one of them and nothing else. PYTHON is an interpreter that
has PyTorch and orthogonium; there the same architecture is built of orthogonium's adaptive
orthogonal convolutions and of PyTorch's own, see `orthogonium_training.py`. Each setting goes to
benchmarks/results/training_BACKEND.json as soon as it is there; one that is there is not measured
again, but with --force. `benchmarks/report_performance.py` makes the table of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.kept_settings import measure_missing  # noqa: E402
from benchmarks.machine import process_bytes  # noqa: E402
from benchmarks.orthogonium_training import summary  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
CLASSES = 19
NETWORKS = ("LipDeepLabV3", "DeepLabV3")


class Setting(NamedTuple):
    """What is trained, and how often it is timed."""

    config: str
    size: int
    batch_size: int
    turns: int
    steps: int
    dtype: str = "float32"
    remat_parts: int = 1
    batches_an_update: int = 1


SETTINGS = {
    "S_128_8": Setting("S", 128, 8, turns=21, steps=3),
    "M1_128_30": Setting("M1", 128, 30, turns=5, steps=1),
    "M1_128_100": Setting("M1", 128, 100, turns=3, steps=1),
    "S_128_8_of_4": Setting("S", 128, 8, turns=15, steps=4, batches_an_update=4),
    "S_512_4": Setting("S", 512, 4, turns=5, steps=1),
    "S_512_4_in_4_parts": Setting("S", 512, 4, turns=5, steps=1, remat_parts=4),
}
GPU_SETTINGS = {
    f"M1_128_{batch}{suffix}": Setting("M1", 128, batch, turns=15, steps=20, dtype=dtype)
    for suffix, dtype in (("", "float32"), ("_bfloat16", "mixed_bfloat16"))
    for batch in (30, 100)
}


def network(name: str, setting: Setting, jit_compile: bool | str) -> Any:
    """A network as `examples/train.py` compiles it."""
    import keras

    import deel_seg

    keras.utils.set_random_seed(0)
    gathered = setting.batches_an_update
    model = getattr(deel_seg, name)(
        setting.config, num_classes=CLASSES, dtype=keras.dtype_policies.get(setting.dtype)
    )
    model.compile(
        keras.optimizers.AdamW(
            1e-3, weight_decay=1e-4, gradient_accumulation_steps=gathered if gathered > 1 else None
        ),
        deel_seg.losses.TemperatureCrossentropy(20.0, ignore_class=255),
        jit_compile=jit_compile,
    )
    if isinstance(model, deel_seg.LipschitzModel):
        model.remat_parts = setting.remat_parts
    return model


def batches(setting: Setting) -> Any:
    """One batch, over and over: what is timed is the step and not the reading of images."""
    import keras
    import numpy as np

    generator = np.random.default_rng(0)
    shape = (setting.batch_size, setting.size, setting.size)
    batch = (
        generator.random((*shape, 3), dtype="float32"),
        generator.integers(0, CLASSES, shape).astype("int32"),
    )
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.data.Dataset.from_tensors(batch).cache().repeat()

    class Same(keras.utils.PyDataset):
        def __len__(self) -> int:
            return 2**20

        def __getitem__(self, index: int) -> Any:
            return batch

    return Same()


def fit_seconds(model: Any, data: Any, steps: int) -> float:
    """Seconds of a step, over some of them after a first one that sets things up."""
    import keras

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            if batch in (0, steps):
                float((logs or {})["loss"])  # Waits until the device has done what it was asked.
                self.times = [*getattr(self, "times", []), time.perf_counter()]

    clock = Clock()
    model.fit(data, steps_per_epoch=steps + 1, shuffle=False, verbose=0, callbacks=[clock])
    start, end = clock.times
    return (end - start) / steps


def times(setting: Setting, jit_compile: bool | str) -> dict[str, Any]:
    """Both networks by turns, each of them first as often as last."""
    import numpy as np

    models = {name: network(name, setting, jit_compile) for name in NETWORKS}
    data = batches(setting)
    first = {}
    for name, model in models.items():
        start = time.perf_counter()
        fit_seconds(model, data, 1)
        first[name] = time.perf_counter() - start
        print(f"  {name}: two steps with compilation {first[name]:.1f} s", flush=True)
    seconds: dict[str, list[float]] = {name: [] for name in NETWORKS}
    for turn in range(setting.turns):
        for name in NETWORKS if turn % 2 else reversed(NETWORKS):
            seconds[name].append(fit_seconds(models[name], data, setting.steps))
        ratio = np.divide(*(seconds[name] for name in NETWORKS))
        print(f"  turn {turn + 1} of {setting.turns}: {np.median(ratio):.3f}", flush=True)
    return {
        "seconds": {name: summary(values) for name, values in seconds.items()},
        "ratio": summary(ratio),
        "first_two_steps": first,
    }


def peak_bytes(name: str, setting: Setting, jit_compile: bool | str) -> dict[str, int]:
    """Largest memory of this process: before the network is built, and after some steps."""
    import keras

    def largest() -> int:
        if BACKEND == "jax":
            import jax

            stats = jax.local_devices()[0].memory_stats()
            if stats:
                return int(stats["peak_bytes_in_use"])
        return process_bytes("VmHWM")

    keras.ops.sum(keras.ops.ones(8))
    before = largest()
    fit_seconds(network(name, setting, jit_compile), batches(setting), 2)
    return {"before": before, "peak": largest()}


def memory(setting: Setting, jit_compile: bool | str) -> dict[str, Any]:
    """Peak memory of each network in a process of its own, and the ratio of all that is in it."""
    found = {}
    for name in NETWORKS:
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as processes:
            found[name] = processes.submit(peak_bytes, name, setting, jit_compile).result()
    peaks = [found[name]["peak"] for name in NETWORKS]
    return {"bytes": found, "ratio": peaks[0] / peaks[1]}


def orthogonium(python: str, setting: Setting) -> dict[str, Any]:
    """The same with orthogonium's layers and PyTorch's, by the interpreter that has them."""
    from deel_seg.models.configs import DEEPLAB_V3_CONFIGS

    script = ROOT / "benchmarks" / "orthogonium_training.py"
    config = json.dumps(DEEPLAB_V3_CONFIGS[setting.config].to_dict())
    words = [config, setting.size, setting.batch_size, setting.turns, setting.steps]
    done = subprocess.run(
        [python, str(script), *map(str, words)], stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(setting: Setting, jit_compile: bool | str, python: str | None) -> dict[str, Any]:
    """All of one setting. Memory first: its processes must not share the machine with ours."""
    used = memory(setting, jit_compile)
    print(f"  peak memory {used['ratio']:.3f} times the twin's", flush=True)
    result = {**setting._asdict(), "jit_compile": jit_compile, "memory": used}
    result |= times(setting, jit_compile)
    if python:
        result["orthogonium"] = orthogonium(python, setting)
        print(f"  orthogonium's ratio {result['orthogonium']['ratio']['median']:.3f}", flush=True)
    return result


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("settings", nargs="*", help="names of settings; all where there is none")
    add("--gpu", action="store_true", help="the settings for a GPU")
    add("--toy", action="store_true", help="the same settings, at a size that takes seconds")
    add("--jit-compile", choices=("auto", "true", "false"), default="auto")
    add("--torch", metavar="PYTHON", help="an interpreter with PyTorch and orthogonium")
    add("--force", action="store_true", help="measure what is there once more")
    add("--out", type=Path, default=RESULTS / f"training_{BACKEND}.json")
    return parser.parse_args()


def main() -> None:
    """Measures what is not there yet."""
    arguments = parse_arguments()
    jit_compile = {"auto": "auto", "true": True, "false": False}[arguments.jit_compile]

    def measured(setting: Setting) -> dict[str, Any]:
        if arguments.toy:
            setting = setting._replace(config="S", size=16, batch_size=2, turns=2, steps=1)
        return measure(setting, jit_compile, arguments.torch)

    settings = GPU_SETTINGS if arguments.gpu else SETTINGS
    names, force = arguments.settings, arguments.force
    measure_missing(arguments.out, BACKEND, settings, names, measured, force=force)


if __name__ == "__main__":
    main()

"""Settings that every test runs under: seeds, true float32, a GPU that is shared politely."""

from __future__ import annotations

import gc
import inspect
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
os.environ.setdefault("MPLBACKEND", "Agg")

import keras
import pytest

from deel_seg._backend import forget_compiled
from tests.real_data import real_data_folder

# Ampere and later GPUs multiply float32 matrices in TF32, 10 bits, unless told otherwise.
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(False)
    HAS_GPU = bool(tf.config.list_physical_devices("GPU"))
else:
    import jax

    jax.config.update("jax_default_matmul_precision", "highest")
    HAS_GPU = jax.default_backend() == "gpu"


# Folders in tests/ whose tests mostly wait for TensorFlow to trace.
COMPILING = {
    "attacks", "certificates", "export", "layers", "lipschitz", "losses", "models", "norms",
    "parametrizations", "smoothing", "vanilla", "visualize",
}  # fmt: skip

# Folders in tests/ whose tests take longest, most of them waiting for processes of their own: begun
# first, so that no worker is left with one of them at the end.
LONG = {"distributed", "examples", "cli", "benchmarks", "evaluation"}


@pytest.fixture(autouse=True)
def seeds() -> None:
    """Seeds Python, NumPy and the backend before each test."""
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True, scope="module")
def compiled_for_a_module() -> Iterator[None]:
    """Lets go, after each module, of what was compiled for it: all of it takes 10 GB and more."""
    yield
    forget_compiled()
    gc.freeze()  # What is left was imported, and is there to stay too.


@pytest.fixture(autouse=True, scope="module")
def graphs_as_traced(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keeps Grappler from rewriting graphs of tests that trace many and run each once.

    It takes a sixth of their time. What XLA compiles for users it does not rewrite either.
    Elsewhere it stays, for what processes of their own compute is compared there.
    """
    spared = keras.backend.backend() == "tensorflow" and "DEEL_SEG_ALL" not in os.environ
    parts = request.path.relative_to(request.config.rootpath).parts
    if not spared or COMPILING.isdisjoint(parts):
        yield
        return
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


@pytest.fixture(autouse=True)
def with_xla(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiles certificates with XLA where a test asks for it, whatever DEEL_SEG_XLA says."""
    if request.node.get_closest_marker("xla"):
        monkeypatch.setattr("deel_seg._backend.WITH_XLA", True)


def pytest_configure(config: pytest.Config) -> None:
    """Keeps on disk what JAX compiled, for other modules that compile the same."""
    if keras.backend.backend() == "jax":
        # One folder for each process: a reader would not wait for a writer.
        folder = tempfile.TemporaryDirectory(prefix="deel_seg_")
        config.add_cleanup(folder.cleanup)
        jax.config.update("jax_compilation_cache_dir", folder.name)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)


def pytest_collection_finish() -> None:
    """Has the garbage collector pass over what is there to stay, and look less often.

    Tracing makes objects by the million: looking for garbage among them took an eighth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skips, with the reason, what this machine cannot run."""
    missing = {}
    everything = bool(os.environ.get("DEEL_SEG_ALL"))
    if keras.backend.backend() != "tensorflow" and not everything:
        missing["one_backend"] = "runs on TensorFlow; on every backend with DEEL_SEG_ALL=1"
    if not everything:
        deselect_parameters(config, items)
    if not HAS_GPU:
        missing["gpu"] = "no GPU on this machine"
    if real_data_folder() is None:
        missing["data"] = "DEEL_SEG_DATA does not name a folder of data sets"
    for item in items:
        for marker, reason in missing.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))
    items.sort(key=lambda item: LONG.isdisjoint(item.path.parts))


def deselect_parameters(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves each test one of its sets of parameters or two, where each is compiled anew."""
    tests: dict[tuple[Path, str], list[pytest.Item]] = {}
    slow = [item for item in items if item.get_closest_marker("slow")]  # Left out, or asked for.
    for item in items:
        if item in slow or item.get_closest_marker("every_set"):
            continue
        name = getattr(item, "originalname", item.name)
        tests.setdefault((item.path, name), []).append(item)
    seen = {id(item) for sets in tests.values() for item in sets}
    kept = {id(item) for item in items if id(item) not in seen} | {
        id(item)
        for sets in tests.values()
        for item in (representative(sets) if compiles(sets[0]) else sets)
    }
    config.hook.pytest_deselected(items=[item for item in items if id(item) not in kept])
    items[:] = [item for item in items if id(item) in kept]


def representative(sets: list[pytest.Item]) -> list[pytest.Item]:
    """The last set of the l2 norm; of certificates on TensorFlow also the last of all.

    Most lists end with the largest case, and those of norms with the maximum norm.
    """
    parameters = [getattr(item, "callspec", None) for item in sets]
    of_l2 = [
        item
        for item, found in zip(sets, parameters, strict=True)
        if found is None or found.params.get("p", 2) == 2
    ]
    last = (of_l2 or sets)[-1]
    both = keras.backend.backend() == "tensorflow" and "certificates" in last.path.parts
    return [last, sets[-1]] if both and last is not sets[-1] else [last]


def compiles(item: pytest.Item) -> bool:
    """Whether nearly all of a test's time is tracing and compiling, as far as can be told."""
    if keras.backend.backend() != "tensorflow":
        return True
    function = getattr(item, "function", None)
    if function is None or COMPILING.isdisjoint(item.path.relative_to(item.config.rootpath).parts):
        return False
    # What is refused, is refused before anything is compiled; bounds that are broken are compiled.
    source = inspect.getsource(function)
    return "raises(" not in source or "raises(AssertionError" in source

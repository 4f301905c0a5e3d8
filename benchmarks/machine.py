"""What a measurement was made on."""

from __future__ import annotations

import os
import platform
import statistics
import time
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("deel_seg", "keras", "tensorflow", "jax", "torch", "numpy")


def describe_machine(backend: str) -> dict[str, Any]:
    """Device, cores and versions; for a JAX accelerator also how fast it copies."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    machine = {"device": _processor(), "cores": len(os.sched_getaffinity(0)), "versions": versions}
    if backend == "jax":
        machine.update(_jax_device())
    return machine


def check_same_machine(known: dict[str, Any], here: dict[str, Any]) -> None:
    """Refuses to put figures of two machines, or of two versions, into one file."""
    for key in ("device", "cores"):
        if known[key] != here[key]:
            raise SystemExit(f"The file was made with {key} {known[key]}, this is {here[key]}.")
    for package, version in known["versions"].items():
        # PyTorch alone may come and go between runs.
        if here["versions"].get(package, version) != version:
            raise SystemExit(f"The file was made with {package} {version}.")


def available_bytes(backend: str) -> int:
    """Memory that logits and what is made of them may take."""
    if backend == "jax":
        import jax

        stats = jax.local_devices()[0].memory_stats()
        if stats:
            return int(0.9 * (stats["bytes_limit"] - stats["bytes_in_use"]))
    lines = Path("/proc/meminfo").read_text().splitlines()
    fields = dict(line.split(":") for line in lines)
    return int(0.9 * 1024 * int(fields["MemAvailable"].split()[0]))


def process_bytes(field: str) -> int:
    """Bytes of a field of the process status, `VmRSS` now or `VmHWM` at most.

    Not `ru_maxrss` of getrusage: it cannot be reset, and starts at what the parent process held.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"The process status has no {field}.")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _jax_device() -> dict[str, Any]:
    import jax

    device = jax.local_devices()[0]
    if device.platform == "cpu":
        return {}
    values = jax.numpy.zeros(2**28, "float32")
    copy = jax.jit(lambda values: values + 1)
    seconds = []
    for _ in range(20):
        jax.block_until_ready(copy(values))
        start = time.perf_counter()
        for _ in range(5):
            result = copy(values)
        jax.block_until_ready(result)
        seconds.append((time.perf_counter() - start) / 5)
    return {
        "device": device.device_kind,
        "copy_bytes_per_second": 2 * values.nbytes / statistics.median(seconds),
    }

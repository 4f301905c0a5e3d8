"""Peak memory of one candidate beside its logits; `benchmarks/certificates.py --memory` calls it.

    python benchmarks/certificate_memory.py NAME HEIGHTxWIDTH CLASSES KIND

Prints the bytes of the logits, and those that a call needed on top of what the process held before
it, its result included. The call before it has compiled it: what a compiler needs is not counted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.certificate_candidates import BACKEND, candidates  # noqa: E402
from benchmarks.certificate_logits import draw  # noqa: E402
from benchmarks.machine import process_bytes  # noqa: E402

# Every buffer of 128 KiB or more is mapped, and given back when it is freed. TensorFlow would keep
# what the first call leaves behind, for the second one to use unseen.
_GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": str(2**17), "TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "1"}


def peak_of(name: str, size: str, classes: int, kind: str) -> dict[str, Any]:
    """Measures a candidate in a process of its own; bytes, or why it is left out."""
    command = [sys.executable, __file__, name, size, str(classes), kind]
    environment = {**os.environ, **_GIVE_BACK}
    output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout
    return json.loads(output.splitlines()[-1])


def peak_on_host(call: Callable[[], object]) -> int:
    """Bytes that a call takes at most beyond what is held before it; it is called twice."""
    call()
    Path("/proc/self/clear_refs").write_text("5")  # The peak is now what is held now.
    before = process_bytes("VmRSS")
    result = call()
    peak = process_bytes("VmHWM") - before
    del result
    return peak


def _peak_on_accelerator(call: Callable[[], object]) -> int:
    import jax

    device = jax.local_devices()[0]
    before = device.memory_stats()
    if not before:
        raise SystemExit("JAX tells how much memory it took on accelerators only.")
    call()
    return device.memory_stats()["peak_bytes_in_use"] - before["bytes_in_use"]


def main() -> None:
    """Measures one candidate."""
    name, size, classes, kind = sys.argv[1:]
    height, width = map(int, size.split("x"))
    drawn = draw((height, width), int(classes), 1, kind=kind)
    candidate = candidates([name], drawn)[name]
    if candidate.left_out:
        print(json.dumps({"left_out": candidate.left_out}))
        return

    def call() -> object:
        return candidate.wait(candidate.call())

    peak = _peak_on_accelerator(call) if BACKEND == "jax" else peak_on_host(call)
    print(json.dumps({"logits": drawn.logits.nbytes, "extra": peak}))


if __name__ == "__main__":
    main()

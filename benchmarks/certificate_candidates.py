"""What `benchmarks/certificates.py` times, ready to be called on tensors that are already there."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from benchmarks import obvious_code
from benchmarks.certificate_list import TITLES, bound_certificate, is_there
from benchmarks.certificate_logits import Drawn

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")


class Candidate(NamedTuple):
    """Something to time, or the reason why it is left out."""

    call: Callable[[], Any] | None
    wait: Callable[[Any], Any] = lambda result: result
    left_out: str | None = None


def extra_bytes(name: str, drawn_bytes: int, pixels: int) -> int:
    """What a candidate may need beside the logits, generously: to leave out what would not fit.

    The partition of NumPy and the sort of XLA copy the logits, the latter with their indices.
    """
    copies = {"obvious/numpy": 1, "obvious/tensorflow_xla": 3, "obvious/jax": 3}.get(name, 0.25)
    return int(copies * drawn_bytes + 80 * pixels)


def wanted_names(only: Iterable[str]) -> list[str]:
    """Names of the candidates that exist here, those with one of the words `only` in them.

    The floor is always among them: what is compared with it is timed in the same run.
    """
    words = tuple(only) or ("",)
    return [
        name
        for name in TITLES
        if _exists(name) and (name.startswith("floor/") or any(word in name for word in words))
    ]


def _exists(name: str) -> bool:
    group, kind = name.split("/")
    if group == "obvious":
        if BACKEND == "jax" or kind == "jax":
            return BACKEND == kind
        return kind != "pytorch" or importlib.util.find_spec("torch") is not None
    return group == "floor" or is_there(group)


def candidates(names: Iterable[str], drawn: Drawn) -> dict[str, Candidate]:
    """The candidates by name."""
    build = (_of_tensorflow if BACKEND == "tensorflow" else _of_jax)(drawn)
    return {name: build(name) for name in names}


def _of_tensorflow(drawn: Drawn) -> Callable[[str], Candidate]:
    tf = importlib.import_module("tensorflow")
    tf.config.set_visible_devices([], "GPU")  # It is the processor that is compared.
    # Taken over, not copied: twice the largest logits would not fit.
    logits = tf.experimental.dlpack.from_dlpack(drawn.logits.__dlpack__())
    labels = tf.constant(drawn.labels)
    capacity = drawn.budget**2

    def compiled(function: Callable[..., Any], jit_compile: bool = True) -> Candidate:
        traced = tf.function(function, jit_compile=jit_compile, autograph=False)
        return Candidate(lambda: traced(logits, labels))  # Returns when it is done.

    def build(name: str) -> Candidate:
        if name == "floor/graph":
            return compiled(lambda logits, labels: tf.reduce_max(logits, axis=-1))
        if name == "floor/eager":
            return Candidate(lambda: tf.reduce_max(logits, axis=-1))
        if name in ("obvious/tensorflow", "obvious/tensorflow_xla"):
            function = functools.partial(obvious_code.with_tensorflow, capacity=capacity)
            return compiled(function, jit_compile=name.endswith("xla"))
        if name == "obvious/numpy":
            return Candidate(lambda: obvious_code.with_numpy(drawn.logits, drawn.labels, capacity))
        if name == "obvious/pytorch":
            return _of_pytorch(drawn, capacity)
        return _of_certificate(name, drawn, logits, labels, compiled)

    return build


def _of_pytorch(drawn: Drawn, capacity: float) -> Candidate:
    torch = importlib.import_module("torch")
    logits, labels = torch.from_numpy(drawn.logits), torch.from_numpy(drawn.labels)

    def call() -> Any:
        with torch.inference_mode():
            return obvious_code.with_pytorch(logits, labels, capacity)

    return Candidate(call)


def _of_jax(drawn: Drawn) -> Callable[[str], Candidate]:
    jax = importlib.import_module("jax")
    logits, labels = jax.numpy.asarray(drawn.logits), jax.numpy.asarray(drawn.labels)

    def compiled(function: Callable[..., Any]) -> Candidate:
        traced = jax.jit(function)
        return Candidate(lambda: traced(logits, labels), jax.block_until_ready)

    def build(name: str) -> Candidate:
        if name == "floor/graph":
            return compiled(lambda logits, labels: jax.numpy.max(logits, axis=-1))
        if name == "floor/eager":
            return Candidate(lambda: jax.numpy.max(logits, axis=-1), jax.block_until_ready)
        if name == "obvious/jax":
            return compiled(functools.partial(obvious_code.with_jax, capacity=drawn.budget**2))
        found = _of_certificate(name, drawn, logits, labels, compiled)
        return found._replace(wait=jax.block_until_ready)

    return build


def _of_certificate(
    name: str, drawn: Drawn, logits: Any, labels: Any, compiled: Callable[..., Candidate]
) -> Candidate:
    certificate, mode = name.split("/")
    bound = bound_certificate(certificate, drawn)
    if mode == "eager":
        return Candidate(lambda: bound(logits, labels))
    return compiled(bound)

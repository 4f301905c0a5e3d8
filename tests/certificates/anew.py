"""Compilation of what a test has patched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deel_seg._backend import compiled


def compiled_anew(function: Callable[..., Any], static_argnames: Sequence[str] = ()) -> Callable:
    """`function` compiled as it is now: what was compiled before a patch is not looked up.

    One operation at a time, JAX would compile each of them.
    """
    return compiled(lambda *args, **kwargs: function(*args, **kwargs), static_argnames)

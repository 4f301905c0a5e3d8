"""Commands that load the library, and what is not to be read meanwhile."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

# What TensorFlow says of every machine: instructions it was not built for, a GPU that is not there.
# It says so before it looks at TF_CPP_MIN_LOG_LEVEL.
STARTUP_NOTE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog"
    rb"|[IWE]\d{4} .*\b(port|cudart_stub|cpu_feature_guard|cuda_platform|cuda_executor)\.cc:\d+\]"
    rb"|To enable the following instructions: "
)


class LibraryCommand(click.Command):
    """A command that works with the library, which takes seconds to load.

    It is loaded once the arguments were read, so that help and wrong usage do not wait for it.
    """

    def invoke(self, ctx: click.Context) -> Any:
        click.echo("Loading the library ...", err=True)
        # What XLA says of the machine and of types, in the middle of the work: errors come through.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        with without_startup_notes():
            import keras

            import deel_seg  # noqa: F401

            if keras.backend.backend() == "tensorflow":
                import tensorflow as tf

                tf.config.list_physical_devices()  # Where it misses a GPU.
        return super().invoke(ctx)


@contextmanager
def without_startup_notes() -> Iterator[None]:
    """Holds back what is written to the standard error, and then writes it without those notes."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        error_stream = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(error_stream, 2)
            os.close(error_stream)
            held.seek(0)
            for line in held:
                if not STARTUP_NOTE.match(line):
                    os.write(2, line)

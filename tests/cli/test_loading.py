"""Loading the library: TensorFlow's notes are held back, and nothing else."""

from __future__ import annotations

import os

import pytest

from deel_seg_cli.loading import without_startup_notes

NOTES = (
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    "I0000 00:00:1795376349.506084   29590 port.cc:153] oneDNN custom operations are on.\n"
    "E0000 00:00:1795376329.656234   29562 cuda_platform.cc:52] failed call to cuInit\n"
)
ERRORS = (
    "F0000 00:00:1795376349.506084   29590 port.cc:153] the machine is on fire\n"
    "E0000 00:00:1795376349.506084   29590 allocator.cc:12] out of memory\n"
    "Traceback (most recent call last):\n"
)


def test_notes_are_held_back_and_errors_come_through(capfd: pytest.CaptureFixture[str]) -> None:
    with without_startup_notes():
        os.write(2, (NOTES + ERRORS).encode())
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == ERRORS + "afterwards\n"


def test_errors_come_through_where_loading_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImportError), without_startup_notes():
        os.write(2, (NOTES + ERRORS).encode())
        raise ImportError("no such library")
    assert capfd.readouterr().err == ERRORS

"""Two processes do not train in one folder."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from deel_seg._folder_lock import alone_in

pytest.importorskip("fcntl", reason="there are no such locks here")

HOLDER = """
import sys, time
from pathlib import Path
from deel_seg._folder_lock import alone_in
with alone_in(Path(sys.argv[1]), "training"):
    print("in", flush=True)
    time.sleep(600)
"""


def test_a_folder_is_let_go_of_by_a_kill(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "in\n"
        with (
            pytest.raises(ValueError, match=r"Another process is training .*folder="),
            alone_in(tmp_path, "training"),
        ):
            pass
        process.kill()
        process.wait()
    with alone_in(tmp_path, "training"):
        assert not list(tmp_path.iterdir())


def test_an_error_lets_go_too(tmp_path: Path) -> None:
    with pytest.raises(KeyError), alone_in(tmp_path, "training"):
        raise KeyError
    with alone_in(tmp_path, "training"):
        pass

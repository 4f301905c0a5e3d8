"""The package as a whole: its names, its version, what importing it costs and needs."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import deel_seg

ROOT = Path(__file__).parent.parent

IMPORT_SECONDS = """
import time, keras
start = time.process_time()
import deel_seg
print(time.process_time() - start)
"""

IMPORT_WITHOUT_TENSORFLOW = """
import importlib, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "deel"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
import deel_seg
for name in deel_seg.__all__:
    getattr(deel_seg, name)
print(sorted({name.partition(".")[0] for name in sys.modules} & {"tensorflow", "deel"}))
"""


def _python(script: str, **environment: str) -> str:
    """What a fresh interpreter prints, that of the last line."""
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()[-1]


def test_every_public_name_is_there() -> None:
    modules = [deel_seg]
    modules += [
        importlib.import_module(f"deel_seg.{module.name}")
        for module in pkgutil.iter_modules(deel_seg.__path__)
        if module.ispkg
    ]
    for module in modules:
        assert len(module.__all__) == len(set(module.__all__)) > 0, module.__name__
        for name in module.__all__:
            assert hasattr(module, name), f"{module.__name__}.{name}"


def test_version_is_the_one_of_pyproject() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (version,) = re.findall(r'^version = "(.+)"$', text, flags=re.MULTILINE)
    assert deel_seg.__version__ == metadata.version("deel_seg") == version


def test_import_is_quick() -> None:
    # Processor time, beyond that of Keras and its backend. Noise only ever adds to it, so the
    # first of three tries that is quick enough settles it.
    assert any(float(_python(IMPORT_SECONDS)) < 1.0 for _ in range(3))


def test_import_needs_no_tensorflow_under_jax() -> None:
    assert _python(IMPORT_WITHOUT_TENSORFLOW, KERAS_BACKEND="jax") == "[]"


def test_type_information_is_shipped() -> None:
    assert Path(deel_seg.__path__[0], "py.typed").is_file()

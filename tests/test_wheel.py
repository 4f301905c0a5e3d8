"""What is shipped: the wheel holds the two packages alone, and asks for the core alone."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("deel_seg", "deel_seg_cli")
# What `pip install deel-seg` pulls. A name more here is a dependency more for every user.
CORE = {"click", "deel-lip", "keras", "numpy", "pillow", "scipy", "tensorflow"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of the checkout, built without a network."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


def unexpected(names: list[str]) -> list[str]:
    """Files that do not belong in the wheel."""
    code = re.compile(rf"({'|'.join(PACKAGES)})/([a-z0-9_]+/)*[a-z0-9_]+\.py")
    about = re.compile(r"deel_seg-[^/]+\.dist-info/(METADATA|WHEEL|RECORD|entry_points\.txt)")
    licence = re.compile(r"deel_seg-[^/]+\.dist-info/licenses/LICENSE")
    page = re.compile(r"deel_seg/report/static/[a-z]+\.(html|css|js)")
    kinds = (code, about, licence, page, re.compile(r"deel_seg/py\.typed"))
    test = re.compile(r"(.*/)?(test_\w*|conftest)\.py")
    known = [name for name in names if any(kind.fullmatch(name) for kind in kinds)]
    return [name for name in names if name not in known or test.fullmatch(name)]


def core_names(requirements: list[str]) -> set[str]:
    """Names of what is required without any extra."""
    always = [line for line in requirements if "extra ==" not in line]
    return {re.split(r"[\s<>=!~\[;]", line, maxsplit=1)[0] for line in always}


def test_the_wheel_holds_code_alone(wheel: zipfile.ZipFile) -> None:
    assert unexpected(wheel.namelist()) == []


def test_the_wheel_holds_all_code(wheel: zipfile.ZipFile) -> None:
    for package in PACKAGES:
        files = {path.relative_to(ROOT).as_posix() for path in (ROOT / package).rglob("*.py")}
        assert files <= set(wheel.namelist())
    static = {path.name for path in (ROOT / "deel_seg/report/static").iterdir()}
    assert static and {f"deel_seg/report/static/{name}" for name in static} <= set(wheel.namelist())
    assert "deel_seg/py.typed" in wheel.namelist()


def test_only_the_core_is_required(wheel: zipfile.ZipFile) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith("METADATA")]
    metadata = message_from_bytes(wheel.read(name))
    assert core_names(metadata.get_all("Requires-Dist") or []) == CORE


def test_what_does_not_belong_is_noticed() -> None:
    for name in ("tests/test_package.py", "deel_seg/data/image.png", "deel_seg/test_layers.py"):
        assert unexpected(["deel_seg/__init__.py", name]) == [name]
    assert core_names(["numpy>=2", "jax>=0.6; extra == 'dev'"]) == {"numpy"}

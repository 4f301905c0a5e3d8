"""Settings are named alike in every process, and a changed function otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deel_seg._lasting_name import lasting_name

MODULE = Path(__file__).parent.parent / "deel_seg" / "_lasting_name.py"

# The module alone, for the library takes seconds to import.
OTHER_PROCESS = """
import runpy, sys
lasting_name = runpy.run_path(sys.argv[1])["lasting_name"]
def made(scale):
    def loss(view, names={"a", "b", "c"}, *, power=2):
        return scale * view if view in {"x", "y", "z", "w"} else [view for _ in range(power)]
    return loss
print(lasting_name([made(2.0), {"of": made(3.0)}]))
"""


def in_another_process(seed: int) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    code = OTHER_PROCESS.replace('{"a", "b", "c"}', '("a", "b")')
    command = [sys.executable, "-c", code, str(MODULE)]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout


def scaled(scale: float) -> Any:
    return lambda x: scale * x


@dataclass(frozen=True)
class Settings:
    steps: int
    loss: Any


def test_another_process_gives_the_same_name() -> None:
    name = in_another_process(1)
    assert name == in_another_process(2)
    assert name.count("made.<locals>.loss") == 2 and " at 0x" not in name


def test_without_functions_it_is_the_repr() -> None:
    for value in (3, "a", [1, "b"], (1,), {"k": 0.5}, Settings(2, "named"), None):
        expected = repr(value) if value != (1,) else "(1)"
        assert lasting_name(value) == expected


def test_another_function_has_another_name() -> None:
    names = [lasting_name(Settings(1, each)) for each in (scaled(1.0), scaled(2.0))]
    assert names[0] != names[1] and "scaled.<locals>.<lambda>" in names[0]
    assert lasting_name(lambda x: x + 1) != lasting_name(lambda x: x + 2)
    assert lasting_name(lambda x: x + 1) != lasting_name(lambda x: x - 1)
    assert lasting_name(scaled(1.0)) == lasting_name(scaled(1.0))


def test_an_object_is_known_by_what_it_holds() -> None:
    class Loss:
        def __init__(self, scale: float) -> None:
            self.scale = scale

        def of(self, x: float) -> float:
            return self.scale * x

    assert lasting_name(Loss(1.0)) == lasting_name(Loss(1.0)) != lasting_name(Loss(2.0))
    assert lasting_name(Loss(1.0).of) != lasting_name(Loss(2.0).of)


def test_what_holds_itself_has_a_name() -> None:
    def counting(n: int) -> int:
        return n and counting(n - 1)

    class Loop:
        def __init__(self) -> None:
            self.own = self

    assert lasting_name(counting) == lasting_name(counting)
    assert lasting_name(Loop()) == lasting_name(Loop())

"""Pages whose Python code is run, top to bottom, and prints what the page shows below it."""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import textwrap
from pathlib import Path
from typing import Any

import keras
import pytest

ROOT = Path(__file__).parent.parent

# How far a printed number may be from the shown one. A short training ends elsewhere on another
# machine, which sums in another order: by less than with another seed, which is up to 0.08. The
# rest is rounding of the last digit that is shown.
PAGES = {
    "README.md": {"abs": 0.1, "rel": 0.0},
    "docs/meaning.md": {"abs": 0.0015, "rel": 1e-3},
    "docs/migration.md": {"abs": 0.0015, "rel": 1e-3},
}

# A block of code, which may be indented in a list, and the text block right below it.
_BLOCK = re.compile(
    r"^( *)```python\n(.*?)^\1```\n(?:\n\1```text\n(.*?)^\1```$)?", re.MULTILINE | re.DOTALL
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def blocks(text: str) -> list[tuple[str, str | None]]:
    """Code and, where the page shows one, its output."""
    return [
        (textwrap.dedent(code), textwrap.dedent(shown) if shown else None)
        for _, code, shown in _BLOCK.findall(text)
    ]


def same_output(printed: str, shown: str, tolerance: dict[str, float]) -> bool:
    """Whether the words are the same and the numbers near."""
    words = [" ".join(_NUMBER.sub("#", text).split()) for text in (printed, shown)]
    numbers = [[float(found) for found in _NUMBER.findall(text)] for text in (printed, shown)]
    return words[0] == words[1] and numbers[0] == pytest.approx(numbers[1], **tolerance)


def run(text: str, tolerance: dict[str, float]) -> int:
    """Runs the blocks in one namespace; returns how many outputs were compared."""
    names: dict[str, Any] = {"__name__": "page"}
    compared = 0
    for code, shown in blocks(text):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "page", "exec"), names)
        if shown is not None:
            assert same_output(printed.getvalue(), shown, tolerance), printed.getvalue()
            compared += 1
    return compared


@pytest.mark.parametrize("page", PAGES)
def test_the_page_prints_what_it_shows(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    assert run((ROOT / page).read_text(encoding="utf-8"), PAGES[page]) > 0


PAGE = """
1. An item.

    ```python
    print("accuracy", 0.5)
    ```

    ```text
    accuracy 0.5004
    ```
"""


def test_an_output_is_found_in_a_list_too() -> None:
    assert run(PAGE, {"abs": 1e-3, "rel": 0.0}) == 1


@pytest.mark.parametrize(
    "shown", ["accuracy 0.502", "precision 0.5", "accuracy 0.5 0.5", "accuracy"]
)
def test_another_output_is_noticed(shown: str) -> None:
    with pytest.raises(AssertionError):
        run(PAGE.replace("accuracy 0.5004", shown), {"abs": 1e-3, "rel": 0.0})


def test_code_that_fails_is_noticed() -> None:
    with pytest.raises(NameError):
        run(PAGE.replace('"accuracy"', "accuracy"), {"abs": 1e-3, "rel": 0.0})


def table_names(text: str) -> list[str]:
    """The names in the first column of the table that begins the text's section on deel-lip."""
    rows = text.split("\n## deel-lip\n")[1].split("\n## ")[0].splitlines()
    cells = [row.split("|")[1] for row in rows if row.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="deel-lip needs TensorFlow")
@pytest.mark.filterwarnings("ignore")  # deel-lip was written for an earlier Keras
def test_names_of_deel_lip_exist() -> None:
    parts = ("layers", "losses", "metrics", "model", "activations", "callbacks")
    modules = [importlib.import_module(f"deel.lip.{part}") for part in parts]
    model = importlib.import_module("deel.lip.model").Model
    names = table_names((ROOT / "docs" / "migration.md").read_text(encoding="utf-8"))
    assert len(names) > 30
    assert not [name for name in names if not any(hasattr(m, name) for m in [*modules, model])]

"""Tutorials are notebooks that the documentation executes: how they are kept, and made pages of."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import keras
import pytest

nbformat = pytest.importorskip("nbformat", reason="the extra `docs` is not installed")
pytest.importorskip("nbconvert")
pytest.importorskip("mkdocs")

if keras.backend.backend() != "tensorflow":
    pytest.skip("the documentation is built on TensorFlow", allow_module_level=True)

DOCS = Path(__file__).resolve().parents[1] / "docs"
TUTORIALS = sorted((DOCS / "tutorials").glob("*.ipynb"))
LAST = "## What was proved, and what not"
# A decimal or a percentage in prose was written by hand: it belongs into a cell that computes it.
_BY_HAND = re.compile(r"\d+\.\d+|\d+ ?(%|percent)")


@pytest.fixture(scope="module")
def hook() -> Any:
    specification = importlib.util.spec_from_file_location("notebooks", DOCS / "notebooks.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def prose(cell: dict[str, Any]) -> str:
    """The text of a cell without its code."""
    return re.sub(r"```.*?```|`[^`]*`", "", "".join(cell["source"]), flags=re.S)


def faults(notebook: dict[str, Any]) -> list[str]:
    """What is not as it should be kept."""
    found = []
    texts = [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    codes = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    if any(cell["outputs"] or cell["execution_count"] is not None for cell in codes):
        found.append("holds outputs")
    if set(notebook["metadata"]) - {"kernelspec", "language_info"}:
        found.append("holds what an editor added")
    if not texts or not "".join(texts[0]["source"]).startswith("# "):
        found.append("has no title")
    if not texts or LAST not in "".join(texts[-1]["source"]):
        found.append("does not say what was proved")
    if any(_BY_HAND.search(prose(cell)) for cell in texts):
        found.append("has a number written by hand")
    return found


def test_there_are_tutorials() -> None:
    assert len(TUTORIALS) == 9


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_how_a_tutorial_is_kept(path: Path) -> None:
    assert faults(json.loads(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_links_of_a_tutorial_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        assert (path.parent / target).exists(), target


def test_a_fault_is_noticed() -> None:
    code = {"cell_type": "code", "source": "1", "outputs": [1], "execution_count": 1}
    text = {"cell_type": "markdown", "source": ["The accuracy is 0.93, or `x` 93 %."]}
    assert len(faults({"cells": [text, code], "metadata": {"widgets": {}}})) == 5
    text = {"cell_type": "markdown", "source": f"# A\n\n`eps=0.5`\n\n{LAST}\n\nNothing."}
    assert faults({"cells": [text], "metadata": {}}) == []


def written(path: Path, *sources: str) -> Path:
    cells = [nbformat.v4.new_markdown_cell("# Title\n\nTo [another](other.ipynb).")]
    cells += [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_a_page_shows_what_cells_give(hook: Any, tmp_path: Path) -> None:
    drawn = (
        "%matplotlib inline\n"
        "from matplotlib.figure import Figure\n"
        "figure = Figure()\n"
        "figure.subplots().plot([0, 1])\n"
        "figure"
    )
    path = written(
        tmp_path / "tiny.ipynb",
        "import sys, pathlib\nprint('no', 'ise', file=sys.stderr)\npathlib.Path('left').touch()",
        "print(6 * 7)",
        drawn,
    )
    before = path.read_text(encoding="utf-8")
    text, pictures = hook.as_markdown(hook.executed(path), "tiny")
    assert text.startswith("# Title\n\n[This page as a notebook](tiny.ipynb)")
    assert "[another](other.md)" in text
    assert "    42\n" in text and "no ise" not in text
    [(place, content)] = pictures.items()
    assert f"]({place})" in text and place.startswith("tiny_files/")
    assert content.startswith(b"\x89PNG")
    assert {each.name for each in tmp_path.iterdir()} == {"tiny.ipynb"}
    assert path.read_text(encoding="utf-8") == before


def test_a_cell_that_fails_ends_the_build(hook: Any, tmp_path: Path) -> None:
    from nbclient.exceptions import CellExecutionError

    with pytest.raises(CellExecutionError, match="of this cell"):
        hook.executed(written(tmp_path / "fails.ipynb", "raise ValueError('of this cell')"))

"""Executes the tutorials, which are notebooks without outputs, and makes pages of what they show.

Each notebook runs once in a build, in a kernel and an empty folder of its own; a cell that fails
ends the build. The page is Markdown like the others: its links are checked, its formulas become
MathML, and it needs no script.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient
from nbconvert import MarkdownExporter
from traitlets.config import Config

log = logging.getLogger("mkdocs.hooks.notebooks")

_FOLDER = "tutorials"
_AT_ONCE = 2  # Each holds a TensorFlow of its own.
_SECONDS_A_CELL = 600
# To compile with XLA takes longer than all that is computed here.
_ENVIRONMENT = {"DEEL_SEG_XLA": "0", "KERAS_BACKEND": "tensorflow"}
_SETTINGS = Config({"CoalesceStreamsPreprocessor": {"enabled": True}})  # Of a cell one output.
_LINK = re.compile(r"\]\(([\w/]+)\.ipynb\)")


def executed(path: Path) -> Any:
    """The notebook with its outputs; what programs say to stderr on the way is left out.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell fails.
    """
    start, notebook = time.perf_counter(), nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=_SECONDS_A_CELL,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            startup_timeout=_SECONDS_A_CELL,
        )
        client.execute(env={**os.environ, **_ENVIRONMENT})
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [each for each in cell.outputs if each.get("name") != "stderr"]
    log.info("%s executed in %.0f s", path.name, time.perf_counter() - start)
    return notebook


def as_markdown(notebook: Any, name: str) -> tuple[str, dict[str, bytes]]:
    """A page, and its pictures by their place beside it.

    Links between notebooks become links between pages.
    """
    resources = {"unique_key": name, "output_files_dir": f"{name}_files"}
    exporter = MarkdownExporter(config=_SETTINGS)
    text, found = exporter.from_notebook_node(notebook, resources=resources)
    title, _, rest = _LINK.sub(r"](\1.md)", text).lstrip().partition("\n")
    download = f"[This page as a notebook]({name}.ipynb), without its outputs."
    return f"{title}\n\n{download}\n{rest}", found["outputs"]


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Called by mkdocs with all that lies in the folder of the documentation."""
    paths = [
        Path(file.abs_src_path)
        for file in files
        if file.src_uri.startswith(f"{_FOLDER}/") and file.src_uri.endswith(".ipynb")
    ]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for path, notebook in zip(paths, pool.map(executed, paths), strict=True):
            text, pictures = as_markdown(notebook, path.stem)
            for place, content in {f"{path.stem}.md": text, **pictures}.items():
                files.append(File.generated(config, f"{_FOLDER}/{place}", content=content))
    return files

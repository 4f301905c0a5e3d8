"""Imports point one way, so that each part can be read and audited without those above it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "deel_seg"

# What each part may import from the library besides itself.
BASE = {"_checks", "_backend", "_derivatives", "_inference"}
ALLOWED = {
    "_checks": set(),
    "_backend": {"_checks"},
    "_derivatives": {"_backend"},
    "_inference": {"_backend"},
    "_devices": BASE,
    "_replicas": BASE,
    "_parts": {"_checks"},
    "_json": set(),
    "_lasting_name": set(),
    "_folder_lock": {"_checks"},
    "_fitting": {"_folder_lock", "_parts"},
    "norms": set(),
    "parametrizations": BASE,
    "layers": BASE | {"_replicas", "parametrizations", "norms"},
    "lipschitz": BASE | {"_json", "parametrizations", "norms", "layers"},
    "vanilla": BASE | {"layers", "lipschitz"},
    "models": BASE
    | {"_replicas", "parametrizations", "layers", "lipschitz", "certificates", "vanilla"},
    "certificates": BASE | {"_replicas", "lipschitz"},
    "attacks": BASE | {"_lasting_name", "_parts"},
    "smoothing": BASE | {"_devices", "_parts"},
    "evaluation": BASE
    | {"_devices", "_json", "_lasting_name", "_parts", "attacks", "certificates", "smoothing"},
    "losses": BASE | {"_replicas", "certificates"},
    "data": BASE,
    "visualize": BASE | {"certificates", "data"},
    "export": BASE | {"certificates", "lipschitz", "vanilla", "models"},
    "tuning": {"_checks", "_fitting", "_json", "_parts", "losses", "models", "visualize"},
    "folders": BASE
    | {"_json", "_parts", "certificates", "data", "evaluation", "export", "lipschitz"},
    "report": BASE | {"_parts", "data", "folders"},
}


def imported_parts(source: str, module: tuple[str, ...]) -> set[str]:
    """Parts of the library that a file imports, wherever in it; `module` is its package."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = module[: len(module) - node.level + 1] if node.level else ()
            start = ".".join((*base, *(node.module or "").split("."))).rstrip(".")
            names = [f"{start}.{alias.name}" for alias in node.names]
        else:
            continue
        parts = [name.split(".") for name in names]
        found |= {part[1] for part in parts if part[0] == "deel_seg" and len(part) > 1}
    return found


def files_of(part: str) -> list[Path]:
    """The Python files of a part, which is a module or a package."""
    single = PACKAGE / f"{part}.py"
    return [single] if single.exists() else sorted((PACKAGE / part).rglob("*.py"))


def test_every_part_has_a_place() -> None:
    parts = {path.relative_to(PACKAGE).parts[0] for path in PACKAGE.rglob("*.py")}
    assert {part.removesuffix(".py") for part in parts} - {"__init__"} == set(ALLOWED)


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_point_one_way(part: str) -> None:
    for file in files_of(part):
        module = ("deel_seg", *file.relative_to(PACKAGE).parent.parts)
        above = imported_parts(file.read_text(encoding="utf-8"), module) - ALLOWED[part] - {part}
        assert not above, f"{file} imports {above}"


@pytest.mark.parametrize(
    "source",
    [
        "import deel_seg.models",
        "from deel_seg import models",
        "from deel_seg.models.configs import CONFIGS",
        "def late():\n    from ..models import configs",
        "from .. import models",
    ],
)
def test_an_import_is_seen_however_it_is_written(source: str) -> None:
    assert imported_parts(source, ("deel_seg", "layers")) == {"models"}

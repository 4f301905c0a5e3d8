"""The written word agrees with the code: names, links, calls in examples, the reference pages."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest

import deel_seg

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCE = "\n".join(
    path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "api").glob("*.md"))
)
PACKAGES = sorted(module.name for module in pkgutil.iter_modules(deel_seg.__path__) if module.ispkg)


def resolve(dotted: str) -> Any:
    """The object a dotted name stands for, importing modules on the way."""
    first, *rest = dotted.split(".")
    found, path = importlib.import_module(first), first
    for name in rest:
        path = f"{path}.{name}"
        found = getattr(found, name) if hasattr(found, name) else importlib.import_module(path)
    return found


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def resolved_names(tree: ast.Module) -> dict[str, Any]:
    """Names that a piece of code imports from the library, and what they stand for."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("deel_seg"):
            for alias in node.names:
                names[alias.asname or alias.name] = resolve(f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("deel_seg"):
                    names[alias.asname or alias.name] = resolve(alias.name)
    return names


def check_calls(source: str) -> int:
    """Binds the calls to library objects to their signatures; returns how many there were."""
    tree, bound = ast.parse(source), 0
    names = resolved_names(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        first, *rest = ast.unparse(node.func).split(".")
        if first not in names:
            continue
        called = names[first]
        for name in rest:
            called = getattr(called, name)
        keywords = {keyword.arg: None for keyword in node.keywords if keyword.arg}
        inspect.signature(called).bind(*[None for _ in node.args], **keywords)
        bound += 1
    return bound


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_in_the_reference(package: str) -> None:
    module = importlib.import_module(f"deel_seg.{package}")
    missing = [
        name
        for name in module.__all__
        if not re.search(rf"\bdeel_seg\.{package}\.(?:{name}\.)?{name}\b", REFERENCE)
    ]
    assert not missing


def test_every_name_of_the_library_itself_is_in_the_reference() -> None:
    names = [name for name in deel_seg.__all__ if not name.startswith("__")]
    missing = [name for name in names if not re.search(rf"\.{name}\b", REFERENCE)]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_names_and_calls_on_a_page_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"(?:`|^::: )(deel_seg(?:\.\w+)+)", text, flags=re.MULTILINE):
        # mkdocstrings takes a module before a function of its name, and needs both; Python not.
        resolve(re.sub(r"\b(\w+)\.\1$", r"\1", name))
    for block in python_blocks(page):
        check_calls(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            place = page.parent / target
            assert place.exists() or place.with_suffix(".ipynb").exists(), target


def test_the_readme_shows_calls() -> None:
    assert sum(map(check_calls, python_blocks(ROOT / "README.md"))) > 5


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    # The pages of notebooks are made when the documentation is built.
    notebooks = [path.with_suffix(".md") for path in (ROOT / "docs").rglob("*.ipynb")]
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in [*PAGES[1:], *notebooks]}
    assert set(re.findall(r": (\S+\.md)$", navigation, flags=re.MULTILINE)) == pages


def test_a_wrong_call_is_noticed() -> None:
    with pytest.raises(TypeError):
        check_calls("import deel_seg\ndeel_seg.certificates.pixel_radius(logits, epz=1)")
    with pytest.raises((AttributeError, ModuleNotFoundError)):
        check_calls("from deel_seg.layers import OrthogonalConv4D")

"""Links of what is read outside the site, and that the site loads nothing from elsewhere.

Links between the pages of the site, and to their sections, are checked by `mkdocs build --strict`.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parent.parent
OUTSIDE = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
PAGES = [*OUTSIDE, *sorted((ROOT / "docs").rglob("*.md"))]


def links(text: str) -> list[str]:
    """Targets of the links and pictures of a page, code left out."""
    prose = re.sub(r"^ *```.*?^ *```$|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(\s*([^)\s]*)\s*\)", prose)


def sections(text: str) -> set[str]:
    """Anchors of a page's headings, as GitHub and mkdocs make them of plain words."""
    prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", prose, flags=re.MULTILINE)
    words = [re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings]
    return {re.sub(r"\s+", "-", word) for word in words}


def broken(page: Path, target: str) -> bool:
    """Whether a relative link leads nowhere, or a full address is malformed."""
    if "://" in target or target.startswith("mailto:"):
        parts = urlsplit(target)
        return parts.scheme != "https" or "." not in parts.netloc or " " in target
    path, _, section = target.partition("#")
    found = (page.parent / path).resolve() if path else page
    if not found.exists():
        return True
    return bool(section) and section not in sections(found.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", OUTSIDE, ids=lambda page: page.stem)
def test_links_outside_the_site_lead_somewhere(page: Path) -> None:
    found = links(page.read_text(encoding="utf-8"))
    assert not [target for target in found if broken(page, target)]


def test_addresses_are_well_formed() -> None:
    for page in PAGES:
        found = [target for target in links(page.read_text(encoding="utf-8")) if "://" in target]
        assert not [target for target in found if broken(page, target)], page


@pytest.mark.parametrize(
    "target",
    [
        "docs/nowhere.md",
        "docs/index.md#nothing",
        "#nothing",
        "http://example.org",
        "https://nohost",
    ],
)
def test_a_broken_link_is_noticed(target: str) -> None:
    assert links(f"See [this]({target}), not `[that](there.md)`.") == [target]
    assert broken(ROOT / "README.md", target)
    assert not broken(ROOT / "README.md", "docs/guarantees.md#rounding")


def hook() -> Any:
    """The hook that reads the built site."""
    spec = importlib.util.spec_from_file_location("hook", ROOT / "docs" / "self_contained.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "tag",
    [
        '<script src="https://cdn.example.org/a.js"></script>',
        '<link rel="stylesheet" href="//fonts.example.org/a.css">',
        '<img alt="a" src="http://example.org/a.png">',
        '<p style="background: url(https://example.org/a.png)">a</p>',
    ],
)
def test_what_a_page_would_load_from_elsewhere_ends_the_build(tmp_path: Path, tag: str) -> None:
    pytest.importorskip("mkdocs")
    page = tmp_path / "index.html"
    page.write_text('<a href="https://example.org">read</a><script src="a.js"></script>')
    hook().on_post_build({"site_dir": str(tmp_path)})
    page.write_text(tag)
    with pytest.raises(Exception, match=r"index\.html loads"):
        hook().on_post_build({"site_dir": str(tmp_path)})

"""Ends the build of the site if a page of it would load anything from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

# Attributes whose address a browser fetches by itself; a link in the text it follows when asked.
_FETCHED = {"src", "srcset", "data", "poster"}
_NOT_FETCHED = {"canonical", "next", "prev", "alternate", "author", "license", "me"}
_EXTERNAL = re.compile(r"^\s*(?:[a-z]+:)?//", re.IGNORECASE)
_CSS = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""", re.IGNORECASE)


class _Fetched(HTMLParser):
    """Collects the addresses that a page fetches."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        fetched = [values[name] for name in _FETCHED & values.keys()]
        if tag == "link" and not set(values.get("rel", "").split()) & _NOT_FETCHED:
            fetched.append(values.get("href", ""))
        self.found += [value for value in fetched if _EXTERNAL.match(value)]
        self.found += _CSS.findall(values.get("style", ""))


def external(text: str, suffix: str) -> list[str]:
    """What a page or a style sheet loads from elsewhere."""
    if suffix == ".css":
        return _CSS.findall(text)
    parser = _Fetched()
    parser.feed(text)
    return parser.found


def _problems(site: Path) -> Iterator[str]:
    for path in sorted(site.rglob("*")):
        if path.suffix in (".html", ".css"):
            for address in external(path.read_text(encoding="utf-8"), path.suffix):
                yield f"{path.relative_to(site)} loads {address}"


def on_post_build(config: Any, **_: Any) -> None:
    """Called by mkdocs when all pages are written."""
    problems = list(_problems(Path(config["site_dir"])))
    if problems:
        raise PluginError("The site must work without a network. " + "; ".join(problems))

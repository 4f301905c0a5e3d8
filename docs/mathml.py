"""Turns the formulas of a page into MathML at build time: the site needs no script for them."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

# What pymdownx.arithmatex leaves in a page, inline and on a line of its own.
_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
_DISPLAY = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """Called by mkdocs with the HTML of each page."""
    content = _INLINE.sub(lambda found: convert(html.unescape(found[1])), content)
    return _DISPLAY.sub(lambda found: convert(html.unescape(found[1]), display="block"), content)

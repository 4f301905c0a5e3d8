"""Lets the reference show the doctests of docstrings as code, wherever in the text they stand."""

from __future__ import annotations

import re
from typing import Any

import griffe

# A prompt and all lines up to the next empty one, and the word that announces it.
_BLOCK = re.compile(r"^( *)>>> .*(?:\n *\S.*)*", re.MULTILINE)
_HEADING = re.compile(r"^Example:$", re.MULTILINE)


def with_fences(text: str) -> str:
    """Puts fences around the doctests of a docstring."""
    fenced = _BLOCK.sub(lambda found: f"{found[1]}```pycon\n{found[0]}\n{found[1]}```", text)
    return _HEADING.sub("**Example**\n", fenced)


class FencedDoctests(griffe.Extension):
    """Rewrites each docstring as it is read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = with_fences(obj.docstring.value)

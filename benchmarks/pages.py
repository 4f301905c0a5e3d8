"""Pages of the docs that scripts write, or parts of them between two marks."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path


class Part:
    """A part of a page between two marks, which a script makes.

    Args:
        name: Its name, which the page has once.
        script: The script's path, told to whoever reads the page's source.
    """

    def __init__(self, name: str, script: str) -> None:
        self.begin = f"<!-- {name}: made by {script} -->"
        self.end = f"<!-- end of {name} -->"

    def replaced(self, text: str, made: str) -> str:
        """The page with another text between the marks."""
        if text.count(self.begin) != 1 or text.count(self.end) != 1:
            raise ValueError(f"The page must have one part {self.begin} ... {self.end}")
        before, rest = text.split(self.begin)
        after = rest.split(self.end)[1]
        return f"{before}{self.begin}\n\n{made}\n\n{self.end}{after}"

    def of(self, text: str) -> str:
        """What stands between the marks."""
        return text.split(self.begin)[1].split(self.end)[0].strip()


def parser(description: str | None) -> argparse.ArgumentParser:
    """Of the command of such a script: it has `--check`."""
    found = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--check", action="store_true", help="only compare; fails if it differs")
    return found


def write_or_check(page: Path, made: str, *, check: bool) -> None:
    """Writes a page, or ends the script if it is not what was made."""
    if not check:
        page.write_text(made)
    elif page.read_text() != made:
        raise SystemExit(f"{page} is not what the results give.")


def main(page: Path, make: Callable[[str], str], description: str | None) -> None:
    """The command of a script that makes one page, from what is there of it."""
    check = parser(description).parse_args().check
    write_or_check(page, make(page.read_text()), check=check)

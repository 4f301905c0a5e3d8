"""Settings from a TOML file, whose keys and values are checked."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any


def read_toml(path: str) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        ValueError: If there is no such file, or it is no TOML; the message names it.
    """
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"`config` must be a TOML file that is there. Received: config={path!r}")
    try:
        return dict(tomllib.loads(file.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as TOML: {error}") from error


def check_keys(values: Mapping[str, Any], known: Collection[str], where: str) -> None:
    """Refuses a key that is not known, and says which one may have been meant.

    Example:
    >>> from deel_seg_cli.training.toml_file import check_keys
    >>> check_keys({"tempreature": 5.0}, ["temperature", "epochs"], "train.toml")
    Traceback (most recent call last):
    ...
    ValueError: train.toml has no key `tempreature`; did you mean `temperature`? \
Received: tempreature=5.0
    """
    for key, value in values.items():
        if key in known:
            continue
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
        close = difflib.get_close_matches(key, known, n=1)
        listed = "" if close else f" Keys are: {', '.join(sorted(known))}."
        raise ValueError(
            f"{where} has no key `{key}`; did you mean `{near[0]}`?{listed} "
            f"Received: {key}={value!r}"
        )


def output_folder(values: dict[str, Any], out: str | None, where: str) -> str:
    """The folder to write to: the option, or what the file says, which is taken out of it."""
    there = values.pop("out", None)
    folder = there if out is None else out
    if not isinstance(folder, str) or not folder:
        raise ValueError(
            f"{where} must say where to write, with the key `out`, or the option --out. "
            f"Received: out={folder!r}"
        )
    return folder

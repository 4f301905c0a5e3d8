"""One process at a time in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deel_seg._checks import received


@contextmanager
def alone_in(folder: Path, what: str) -> Iterator[None]:
    """Refuses to begin while another process is at the same work in a folder.

    Nothing is left behind by a kill: what is locked is the folder itself, for as long as the
    process lives. Where there are no such locks (Windows, some network drives) nothing is refused.

    Args:
        folder: A folder that exists.
        what: The work, for the message: "training".

    Raises:
        ValueError: If another process is at it.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    place = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"Another process is {what} in the folder: let it end, or end it. "
                + received(folder=str(folder))
            ) from error
        except OSError:
            pass
        yield
    finally:
        os.close(place)
